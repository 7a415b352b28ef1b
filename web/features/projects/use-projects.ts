import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { connectProject, listProjects } from "@/lib/api/endpoints";

const PROJECTS = ["projects"];

export function useProjects() {
  return useQuery({ queryKey: PROJECTS, queryFn: listProjects, staleTime: 30_000 });
}

export function useConnectProject() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: connectProject,
    onSuccess: () => client.invalidateQueries({ queryKey: PROJECTS }),
  });
}
