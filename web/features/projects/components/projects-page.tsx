"use client";

import { useState } from "react";
import { Ago } from "@/components/ui/ago";
import { Button, ButtonLink } from "@/components/ui/button";
import { Card, EmptyState, PageHeading, SkeletonRows } from "@/components/ui/card";
import { Notice } from "@/components/ui/chip";
import { ErrorCard } from "@/components/ui/error-card";
import type { Project } from "@/lib/api/types";
import { KIND_WORDS } from "../source";
import { useProjects } from "../use-projects";
import { ConnectProjectForm } from "./connect-project-form";

export function ProjectsPage() {
  const projects = useProjects();
  const [connecting, setConnecting] = useState(false);
  const [connected, setConnected] = useState<Project | null>(null);
  const connect = (
    <Button variant="primary" icon="plus" onClick={() => setConnecting(true)}>
      Connect a project
    </Button>
  );
  const some = projects.data && projects.data.length > 0;

  return (
    <div className="mx-auto max-w-3xl">
      <PageHeading title="Projects" lead="The repositories that agents may work on." action={some && !connecting && connect} />
      <div className="flex flex-col gap-4">
        {connected && !connecting && <Notice tone="ok" role="status" title={`${connected.name} is connected.`} />}
        {connecting && (
          <Card>
            <ConnectProjectForm
              onCancel={() => setConnecting(false)}
              onConnected={(project) => {
                setConnected(project);
                setConnecting(false);
              }}
            />
          </Card>
        )}
        {projects.isPending && <SkeletonRows label="Loading projects" />}
        {projects.error && <ErrorCard what="The projects could not be loaded." error={projects.error} onRetry={() => void projects.refetch()} />}
        {projects.data?.length === 0 && !connecting && (
          <EmptyState title="No project yet" action={connect}>
            Connect a folder on this machine or a Git URL. Agents work on a copy; your files stay as they are.
          </EmptyState>
        )}
        {some && (
          <ul className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-card">
            {projects.data.map((project) => (
              <li key={project.id} className="flex flex-wrap items-center justify-between gap-x-4 gap-y-2 px-4 py-3">
                <div className="min-w-0">
                  <h2 className="font-medium">{project.name}</h2>
                  <p className="truncate font-mono text-xs text-muted">{project.source}</p>
                  <p className="text-[0.8125rem] text-muted">
                    {KIND_WORDS[project.source_kind]} · connected <Ago at={project.created_at} />
                  </p>
                </div>
                <ButtonLink href={`/?project=${project.id}`} icon="compose">
                  New task<span className="sr-only"> in {project.name}</span>
                </ButtonLink>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
