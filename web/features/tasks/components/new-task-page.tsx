"use client";

import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { Suspense, useState } from "react";
import { Card, PageHeading, SkeletonRows } from "@/components/ui/card";
import { ErrorCard } from "@/components/ui/error-card";
import { ConnectProjectForm, useProjects } from "@/features/projects";
import { useProjectNames } from "../use-project-names";
import { useRecentTasks } from "../use-tasks";
import { NewTaskForm } from "./new-task-form";
import { TaskList } from "./task-list";

function Composer() {
  const projects = useProjects();
  const asked = useSearchParams().get("project") ?? "";
  const [connecting, setConnecting] = useState(false);
  const [chosen, setChosen] = useState("");
  const known = projects.data ?? [];
  const projectId = chosen || known.find((project) => project.id === asked)?.id || known[0]?.id || "";

  if (projects.isPending) return <SkeletonRows label="Loading projects" />;
  if (projects.error) {
    return <ErrorCard what="The projects could not be loaded." error={projects.error} onRetry={() => void projects.refetch()} />;
  }
  const first = known.length === 0;
  return (
    <div className="flex flex-col gap-4">
      {(first || connecting) && (
        <Card>
          <h2 className="mb-3 text-lg font-semibold">{first ? "First, connect a project" : "Connect a project"}</h2>
          <ConnectProjectForm
            onCancel={first ? undefined : () => setConnecting(false)}
            onConnected={(project) => {
              setChosen(project.id);
              setConnecting(false);
            }}
          />
        </Card>
      )}
      {!first && <NewTaskForm projects={known} projectId={projectId} onProject={setChosen} onConnect={() => setConnecting(true)} />}
    </div>
  );
}

function RecentTasks() {
  const recent = useRecentTasks(5);
  const names = useProjectNames();
  if (!recent.data || recent.data.items.length === 0) return null;
  return (
    <section aria-labelledby="recent" className="mt-8">
      <div className="mb-2 flex items-baseline justify-between">
        <h2 id="recent" className="text-lg font-semibold">
          Recent tasks
        </h2>
        <Link href="/tasks" className="text-sm text-accent underline-offset-2 hover:underline">
          All tasks
        </Link>
      </div>
      <TaskList items={recent.data.items} projectNames={names} />
    </section>
  );
}

export function NewTaskPage() {
  return (
    <div className="mx-auto max-w-3xl">
      <PageHeading title="What should change?" lead="An agent works on a copy of your project. The platform then checks the result itself." />
      <Suspense fallback={<SkeletonRows label="Loading" />}>
        <Composer />
      </Suspense>
      <RecentTasks />
    </div>
  );
}
