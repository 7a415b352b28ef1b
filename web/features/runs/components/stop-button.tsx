"use client";

import { useState } from "react";
import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/dialog";
import { ErrorCard } from "@/components/ui/error-card";
import type { Run } from "@/lib/api/types";
import { useStop } from "../use-task";

/** Stops a run and all that it started, after asking. */
export function StopButton({ run, taskId }: { run: Run; taskId: string }) {
  const [asking, setAsking] = useState(false);
  const stop = useStop(taskId);
  return (
    <div className="flex flex-col items-end gap-2">
      <Button variant="danger" icon="stop" busy={stop.isSuccess} onClick={() => setAsking(true)}>
        {stop.isSuccess ? "Stopping…" : "Stop"}
      </Button>
      {stop.error && <ErrorCard what="The run was not stopped." error={stop.error} />}
      <ConfirmDialog
        open={asking}
        title="Stop this run?"
        action="Stop the run"
        keep="Let it work"
        busy={stop.isPending}
        onClose={() => setAsking(false)}
        onConfirm={() => stop.mutate(run.id, { onSettled: () => setAsking(false) })}
      >
        The agent and all Coders it started end now. What was done so far is kept as a diff.
      </ConfirmDialog>
    </div>
  );
}
