import { useQuery } from "@tanstack/react-query";
import { fetchMe } from "@/lib/api/endpoints";

/** Who is signed in. */
export function useMe() {
  return useQuery({ queryKey: ["me"], queryFn: fetchMe, staleTime: 60_000 });
}
