import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { listModels, listTasks } from "@/lib/api/endpoints";
import type { RunStatus, TaskPage } from "@/lib/api/types";

const LIVE_MS = 4_000;
const IDLE_MS = 30_000;
const OVER: RunStatus[] = ["succeeded", "failed", "cancelled"];

/** Look again soon while something works, seldom otherwise. */
function pace(pages: TaskPage[] | undefined): number {
  const live = pages?.some((page) => page.items.some(({ run }) => !OVER.includes(run.status)));
  return live ? LIVE_MS : IDLE_MS;
}

export function useRecentTasks(limit: number) {
  return useQuery({
    queryKey: ["tasks", "recent", limit],
    queryFn: () => listTasks({ limit }),
    refetchInterval: (query) => pace(query.state.data && [query.state.data]),
  });
}

export function useTasks(status: RunStatus | undefined) {
  return useInfiniteQuery({
    queryKey: ["tasks", "all", status ?? ""],
    queryFn: ({ pageParam }) => listTasks({ status, cursor: pageParam, limit: 25 }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: (query) => pace(query.state.data?.pages),
  });
}

export function useModels() {
  return useQuery({ queryKey: ["models"], queryFn: listModels, staleTime: 30_000 });
}
