"use client";

import { plural } from "@/lib/format/format";
import { useOpenQuestions, usePendingApprovals } from "../use-approvals";

/** How much waits for a person; nothing while nothing does. */
export function PendingCount() {
  const count = (usePendingApprovals().data?.items.length ?? 0) + (useOpenQuestions().data?.items.length ?? 0);
  if (count === 0) return null;
  return (
    <span className="rounded-full bg-warn-soft px-1.5 text-xs font-semibold text-warn tabular-nums">
      <span aria-hidden="true">{count}</span>
      <span className="sr-only">({plural(count, "thing")} to decide)</span>
    </span>
  );
}
