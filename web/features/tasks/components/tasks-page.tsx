"use client";

import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { Suspense } from "react";
import { Button, ButtonLink } from "@/components/ui/button";
import { EmptyState, PageHeading, SkeletonRows } from "@/components/ui/card";
import { ErrorCard } from "@/components/ui/error-card";
import type { RunStatus } from "@/lib/api/types";
import { FILTERS, statusOf } from "../model/filters";
import { useProjectNames } from "../use-project-names";
import { useTasks } from "../use-tasks";
import { TaskList } from "./task-list";

const NEW_TASK = (
  <ButtonLink href="/" variant="primary" icon="compose">
    New task
  </ButtonLink>
);

function Filters({ status }: { status: RunStatus | undefined }) {
  return (
    <nav aria-label="Filter by state" className="mb-4 flex flex-wrap gap-1.5">
      {FILTERS.map((filter) => {
        const here = filter.status === status;
        return (
          <Link
            key={filter.label}
            href={filter.status ? `/tasks?status=${filter.status}` : "/tasks"}
            replace
            scroll={false}
            aria-current={here ? "true" : undefined}
            className={`inline-flex min-h-8 items-center rounded-full border px-3 text-sm ${here ? "border-accent bg-accent-soft font-medium text-accent" : "border-line text-muted hover:bg-sunken hover:text-fg"}`}
          >
            {filter.label}
          </Link>
        );
      })}
    </nav>
  );
}

function Tasks() {
  const status = statusOf(useSearchParams().get("status"));
  const tasks = useTasks(status);
  const names = useProjectNames();
  const items = tasks.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <Filters status={status} />
      <div className="flex flex-col gap-4">
        {tasks.isPending && <SkeletonRows label="Loading tasks" />}
        {tasks.error && <ErrorCard what="The tasks could not be loaded." error={tasks.error} onRetry={() => void tasks.refetch()} />}
        {tasks.data && items.length === 0 && (
          <EmptyState title={status ? "No task in this state" : "No task yet"} action={status ? <ButtonLink href="/tasks">Show all tasks</ButtonLink> : NEW_TASK}>
            {!status && "Ask for a change; for example: “The test for empty carts fails. Find out why and fix it.”"}
          </EmptyState>
        )}
        {items.length > 0 && <TaskList items={items} projectNames={names} />}
        {tasks.hasNextPage && (
          <Button className="self-center" busy={tasks.isFetchingNextPage} onClick={() => void tasks.fetchNextPage()}>
            Show older tasks
          </Button>
        )}
      </div>
    </>
  );
}

export function TasksPage() {
  return (
    <div className="mx-auto max-w-4xl">
      <PageHeading title="Tasks" action={NEW_TASK} />
      <Suspense fallback={<SkeletonRows label="Loading tasks" />}>
        <Tasks />
      </Suspense>
    </div>
  );
}
