import { useMemo } from "react";
import { useProjects } from "@/features/projects";

/** Names by id, for lists of tasks. */
export function useProjectNames(): ReadonlyMap<string, string> {
  const { data } = useProjects();
  return useMemo(() => new Map((data ?? []).map((project) => [project.id, project.name])), [data]);
}
