"use client";

import Link from "next/link";
import type { ReactNode } from "react";
import type { Run, TaskDetail } from "@/lib/api/types";
import { Icon } from "@/components/ui/icon";
import { useNow } from "@/lib/clock";
import { firstLine, formatClock, formatCompact, formatCost, formatDuration } from "@/lib/format/format";
import type { RunView } from "../model/run-view";
import { hasEnded, ROLE_WORDS } from "../model/words";
import { RunStatusChip } from "./chips";
import { StopButton } from "./stop-button";

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="flex items-baseline gap-1.5">
      <dt className="text-muted">{label}</dt>
      <dd className="font-medium tabular-nums">{children}</dd>
    </div>
  );
}

function Elapsed({ view, run }: { view: RunView; run: Run }) {
  const now = useNow();
  const started = view.startedAt ?? run.started_at;
  const ended = view.endedAt ?? run.ended_at;
  if (!started || now === 0) return "–";
  if (ended) return formatDuration((Date.parse(ended) - Date.parse(started)) / 1000);
  return formatClock((now - Date.parse(started)) / 1000);
}

/** What was asked, where it stands, and the way to stop it. */
export function RunHeader({ detail, run, view }: { detail: TaskDetail; run: Run; view: RunView }) {
  const { task, project } = detail;
  const status = hasEnded(run.status) || view.rows.length === 0 ? run.status : view.status;
  const over = hasEnded(status);
  const title = firstLine(task.prompt);
  const more = task.prompt.trim() !== title;
  const child = run.parent_run_id !== null;
  const { max_turns, max_cost_usd } = task.budget;
  return (
    <header className="flex flex-col gap-3">
      {child && (
        <Link href={`/task?id=${task.id}`} className="inline-flex min-h-6 items-center gap-1.5 self-start text-sm text-accent underline-offset-2 hover:underline">
          <Icon name="chevron" className="rotate-180" />
          Back to the whole task
        </Link>
      )}
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="min-w-0 flex-1 basis-80">
          <h1 className="text-xl font-semibold tracking-tight text-pretty">{title}</h1>
          {more && (
            <details className="mt-1 text-sm">
              <summary className="min-h-6 text-muted hover:text-fg">The whole task</summary>
              <p className="mt-2 max-w-prose whitespace-pre-wrap">{task.prompt}</p>
            </details>
          )}
        </div>
        {!over && <StopButton run={run} taskId={task.id} />}
      </div>
      {/* While it works the step has a line of its own, so that its changing words push nothing about. */}
      <div className={over ? "flex flex-wrap items-center gap-x-5 gap-y-2" : "flex flex-col gap-3"}>
        <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
          <RunStatusChip status={status} waitReason={view.waitReason ?? run.wait_reason} />
          <span aria-live="polite" className="text-sm text-muted empty:hidden">
            {over ? "" : view.step}
          </span>
        </div>
        <dl className="flex flex-wrap gap-x-5 gap-y-1 text-sm">
          <Figure label="Project">{project.name}</Figure>
          <Figure label={ROLE_WORDS[run.role]}>
            <span title={run.model} className="inline-block max-w-72 truncate align-bottom">
              {run.model}
            </span>
          </Figure>
          <Figure label="Time">
            <Elapsed view={view} run={run} />
          </Figure>
          <Figure label="Turns">
            {view.turns}
            {typeof max_turns === "number" && <span className="font-normal text-muted"> of {max_turns}</span>}
          </Figure>
          <Figure label="Tokens">{formatCompact(view.tokens)}</Figure>
          <Figure label="Cost">
            {formatCost(view.costUsd)}
            {typeof max_cost_usd === "number" && <span className="font-normal text-muted"> of {formatCost(max_cost_usd)}</span>}
          </Figure>
        </dl>
      </div>
    </header>
  );
}
