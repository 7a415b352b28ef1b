"use client";

import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Chip, type Tone } from "@/components/ui/chip";
import { ConfirmDialog } from "@/components/ui/dialog";
import { ErrorCard } from "@/components/ui/error-card";
import type { IconName } from "@/components/ui/icon";
import type { Deployment } from "@/lib/api/types";
import { useDeployments, useOpenPreview, useStopDeployment } from "../use-task";

const LOOK: Record<Deployment["status"], { words: string; tone: Tone; icon: IconName }> = {
  starting: { words: "Starting", tone: "accent", icon: "spinner" },
  serving: { words: "Running", tone: "ok", icon: "checkCircle" },
  standby: { words: "Standing by", tone: "neutral", icon: "pause" },
  failed: { words: "Not healthy", tone: "err", icon: "xCircle" },
  stopped: { words: "Stopped", tone: "neutral", icon: "stop" },
};

/** What the task has running: one line each, the way in, and the way to end it. Nothing, when there was never one. */
export function DeploymentsCard({ taskId, changes }: { taskId: string; changes: number }) {
  const list = useDeployments(taskId, changes);
  if (list.error && !list.data) return <ErrorCard what="The deployments could not be loaded." error={list.error} onRetry={() => void list.refetch()} />;
  const live = list.data?.filter((each) => each.status !== "stopped") ?? [];
  const shown = live.length > 0 ? live : (list.data?.slice(0, 1) ?? []);
  if (shown.length === 0) return null;
  return (
    <Card>
      <section aria-label="Deployments">
        <h2 className="mb-2 font-semibold">Deployments</h2>
        <ul className="flex flex-col divide-y divide-line">
          {shown.map((each) => (
            <DeploymentLine key={each.id} deployment={each} taskId={taskId} />
          ))}
        </ul>
      </section>
    </Card>
  );
}

function DeploymentLine({ deployment, taskId }: { deployment: Deployment; taskId: string }) {
  const [asking, setAsking] = useState(false);
  const stop = useStopDeployment(taskId);
  const open = useOpenPreview();
  const look = LOOK[deployment.status];
  const runs = deployment.status === "serving" || deployment.status === "standby";
  return (
    <li className="flex flex-col gap-2 py-2.5 first:pt-0 last:pb-0">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <Chip tone={look.tone} icon={look.icon}>
          {look.words}
        </Chip>
        <span className="min-w-40 flex-1 truncate text-sm text-muted" title={deployment.image}>
          {deployment.image}, port {deployment.port}
        </span>
        <div className="flex flex-wrap gap-2">
          {deployment.status === "serving" && (
            <Button variant="primary" busy={open.isPending} onClick={() => open.mutate(deployment.id)}>
              Open the preview
            </Button>
          )}
          {runs && (
            <Button variant="danger" icon="stop" busy={stop.isPending} onClick={() => setAsking(true)}>
              Stop it
            </Button>
          )}
        </div>
      </div>
      {deployment.detail && <p className="text-sm break-words text-muted">{deployment.detail}</p>}
      {open.error && <ErrorCard what="The preview could not be opened." error={open.error} />}
      {stop.error && <ErrorCard what="It was not stopped." error={stop.error} />}
      <ConfirmDialog
        open={asking}
        title="Stop this deployment?"
        action="Stop it"
        keep="Let it run"
        busy={stop.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => stop.mutate(deployment.id, { onSettled: () => setAsking(false) })}
      >
        Its container is removed, with all that the app wrote.
      </ConfirmDialog>
    </li>
  );
}
