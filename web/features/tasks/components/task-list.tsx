"use client";

import Link from "next/link";
import { Ago } from "@/components/ui/ago";
import { GradeChip, RunStatusChip } from "@/features/runs";
import type { TaskSummary } from "@/lib/api/types";
import { firstLine, formatCost } from "@/lib/format/format";

interface Props {
  items: TaskSummary[];
  projectNames: ReadonlyMap<string, string>;
}

/** Tasks, newest first: what was asked, where it stands, what was shown. The whole row opens the task. */
export function TaskList({ items, projectNames }: Props) {
  return (
    <ul className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-card">
      {items.map(({ task, run }) => (
        <li key={task.id} className="relative flex flex-col gap-x-4 gap-y-1.5 px-4 py-3 hover:bg-sunken/60 sm:flex-row sm:items-center">
          <div className="min-w-0 flex-1">
            <Link href={`/task?id=${task.id}`} className="block truncate font-semibold after:absolute after:inset-0">
              {firstLine(task.prompt) || "Untitled task"}
            </Link>
            <p className="truncate text-[0.8125rem] text-muted">
              {projectNames.get(task.project_id) ?? "…"} · {run.cost_usd > 0 ? formatCost(run.cost_usd) : "no cost"} · <Ago at={task.created_at} />
            </p>
          </div>
          <div className="flex flex-wrap gap-1.5 sm:justify-end">
            <GradeChip grade={run.proof} />
            <RunStatusChip status={run.status} waitReason={run.wait_reason} />
          </div>
        </li>
      ))}
    </ul>
  );
}
