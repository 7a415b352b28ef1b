import type { RunStatus } from "@/lib/api/types";

export const FILTERS: { label: string; status?: RunStatus }[] = [
  { label: "All" },
  { label: "Queued", status: "queued" },
  { label: "Working", status: "running" },
  { label: "Waiting", status: "waiting" },
  { label: "Being checked", status: "verifying" },
  { label: "Finished", status: "succeeded" },
  { label: "Failed", status: "failed" },
  { label: "Stopped", status: "cancelled" },
];

/** The state that an address asks for; anything else means all. */
export function statusOf(value: string | null): RunStatus | undefined {
  return FILTERS.find((filter) => filter.status === value)?.status;
}
