"use client";

import { useSearchParams } from "next/navigation";
import { Suspense } from "react";
import { ButtonLink } from "@/components/ui/button";
import { EmptyState, PageHeading, SkeletonRows } from "@/components/ui/card";
import { ErrorCard } from "@/components/ui/error-card";
import type { Run } from "@/lib/api/types";
import { useTask } from "../use-task";
import { RunDetails } from "./run-details";

/** The run asked for, else the newest that no other run started. */
function chooseRun(runs: Run[], asked: string | null): Run | undefined {
  return runs.find((run) => run.id === asked) ?? runs.findLast((run) => run.parent_run_id === null) ?? runs[0];
}

function Task() {
  const params = useSearchParams();
  const id = params.get("id") ?? "";
  const task = useTask(id);
  if (!id) {
    return (
      <div className="mx-auto max-w-3xl">
        <EmptyState title="No task was named" action={<ButtonLink href="/tasks">All tasks</ButtonLink>}>
          The address should end in ?id= and a task’s id.
        </EmptyState>
      </div>
    );
  }
  if (task.isPending) return <SkeletonRows label="Loading the task" />;
  if (!task.data) {
    return (
      <div className="mx-auto flex max-w-3xl flex-col items-start gap-4">
        <PageHeading title="Task" />
        <ErrorCard what="The task could not be loaded." error={task.error} onRetry={() => void task.refetch()} />
        <ButtonLink href="/tasks" icon="list">
          All tasks
        </ButtonLink>
      </div>
    );
  }
  const run = chooseRun(task.data.runs, params.get("run"));
  if (!run) return <EmptyState title="This task has no run yet" />;
  return <RunDetails key={run.id} detail={task.data} run={run} />;
}

export function RunPage() {
  return (
    <Suspense fallback={<SkeletonRows label="Loading the task" />}>
      <Task />
    </Suspense>
  );
}
