import Link from "next/link";
import { Chip, type Tone } from "@/components/ui/chip";
import type { IconName } from "@/components/ui/icon";
import type { Payloads } from "@/lib/api/events";
import type { Run } from "@/lib/api/types";
import type { PlanProgress } from "../model/run-view";
import { RunStatusChip } from "./chips";

const LOOK: Record<PlanProgress["status"], { words: string; icon: IconName; tone: Tone }> = {
  open: { words: "Not started", icon: "dot", tone: "neutral" },
  delegated: { words: "With a Coder", icon: "spinner", tone: "accent" },
  finished: { words: "Coder finished", icon: "check", tone: "accent" },
  merged: { words: "Merged", icon: "checkCircle", tone: "ok" },
  conflicted: { words: "Conflict", icon: "alert", tone: "err" },
  failed: { words: "Failed", icon: "xCircle", tone: "err" },
};

interface Props {
  plan: Payloads["plan.submitted"]["plan"];
  progress: Readonly<Record<string, PlanProgress>>;
  taskId: string;
  runs: Run[];
}

/** The Architect's plan, part by part, each with its state and the way to its Coder's run. */
export function PlanList({ plan, progress, taskId, runs }: Props) {
  const merged = plan.items.filter((item) => progress[item.id]?.status === "merged").length;
  return (
    <section aria-labelledby="plan" className="rounded-xl border border-line bg-card p-4">
      <div className="mb-2 flex items-baseline justify-between gap-3">
        <h2 id="plan" className="font-semibold">
          Plan
        </h2>
        <span className="text-sm text-muted">
          {merged} of {plan.items.length} merged
        </span>
      </div>
      <ol className="flex flex-col divide-y divide-line">
        {plan.items.map((item, index) => {
          const state = progress[item.id];
          const look = LOOK[state?.status ?? "open"];
          const child = runs.find((run) => run.id === state?.childRunId);
          return (
            <li key={item.id} className="flex flex-col gap-1.5 py-2.5 text-sm">
              <div className="flex flex-wrap items-center justify-between gap-2">
                <span className="min-w-0 flex-1 font-medium">
                  {index + 1}. {item.title}
                </span>
                {child && state?.status === "delegated" ? <RunStatusChip status={child.status} /> : <Chip tone={look.tone} icon={look.icon}>{look.words}</Chip>}
              </div>
              {state?.detail && <p className="text-muted">{state.detail}</p>}
              <div className="flex flex-wrap items-center gap-x-4 text-[0.8125rem] text-muted">
                {item.depends_on.length > 0 && <span>After {item.depends_on.join(", ")}</span>}
                {child && (
                  <Link href={`/task?id=${taskId}&run=${child.id}`} className="inline-flex min-h-6 items-center text-accent underline-offset-2 hover:underline">
                    Open this Coder’s run
                  </Link>
                )}
              </div>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
