"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { ErrorCard } from "@/components/ui/error-card";
import { Tabs, type Tab } from "@/components/ui/tabs";
import type { Run, TaskDetail } from "@/lib/api/types";
import { useMedia } from "@/lib/media";
import { growingRow } from "../model/rows";
import { useRunView } from "../use-run-view";
import { AttestationTab } from "./attestation-tab";
import { ConnectionBanner } from "./connection-banner";
import { DeploymentsCard } from "./deployments-card";
import { DiffTab } from "./diff-tab";
import { FilesTab } from "./files-tab";
import { PendingAsks } from "./pending-asks";
import { PlanList } from "./plan-list";
import { ResultCard } from "./result-card";
import { RunHeader } from "./run-header";
import { TestsTab } from "./tests-tab";
import { Timeline } from "./timeline";

type TabId = "activity" | "diff" | "tests" | "attestation" | "files";

/** One run, live: what it does on one side, what came of it on the other; one column on small screens. */
export function RunDetails({ detail, run }: { detail: TaskDetail; run: Run }) {
  const stream = useRunView(run.id);
  const view = stream.state;
  const wide = useMedia("(min-width: 64rem)");
  const [chosen, setChosen] = useState<TabId>("activity");
  const client = useQueryClient();

  // Child runs and the end of the run are facts of the task too: read it again when they move.
  const marker = `${Object.values(view.planProgress).map((item) => item.status + item.childRunId).join()} ${view.finished?.status ?? ""}`;
  useEffect(() => {
    if (marker.trim()) void client.invalidateQueries({ queryKey: ["task", detail.task.id] });
  }, [client, detail.task.id, marker]);

  const { said, lastSeq } = stream;
  const rows = useMemo(() => (said?.text ? [...view.rows, growingRow(said, lastSeq)] : view.rows), [view.rows, said, lastSeq]);
  const activity = (
    <div className="flex min-w-0 flex-col gap-4">
      {view.plan && <PlanList plan={view.plan} progress={view.planProgress} taskId={detail.task.id} runs={detail.runs} />}
      <Timeline rows={rows} errors={view.errors} live={!view.finished} loading={stream.lastSeq === 0 && stream.connection !== "refused"} />
    </div>
  );
  const verdict = view.verdict;
  const results: Tab<TabId>[] = [
    { id: "diff", label: "Diff", icon: "file", count: view.diff?.files, panel: <DiffTab diff={view.diff} finished={view.finished !== null} protectedPaths={view.finished?.protected_paths ?? []} /> },
    { id: "tests", label: "Tests", icon: "flask", count: verdict ? verdict.head_passed + verdict.head_failed : null, panel: <TestsTab verdict={verdict} checks={view.checks} /> },
    { id: "attestation", label: "Attestation", icon: "shield", count: verdict?.findings.length || null, panel: <AttestationTab verdict={verdict} words={view.verdictWords} artifactId={view.attestationId} finished={view.finished !== null} /> },
    { id: "files", label: "Files", icon: "folder", panel: <FilesTab runId={run.id} marker={`${view.diff?.artifact_id} ${view.attestationId} ${view.finished?.status}`} /> },
  ];
  const shown = wide && chosen === "activity" ? "diff" : chosen;

  return (
    <div className="flex flex-col gap-4">
      <div>
        <RunHeader detail={detail} run={run} view={view} />
        <ConnectionBanner connection={stream.connection} lostAt={stream.lostAt} />
      </div>
      {stream.error && <ErrorCard what="The live events could not be read." error={stream.error} onRetry={() => window.location.reload()} />}
      <PendingAsks asks={view.asks} />
      <ResultCard view={view} require={detail.task.require} />
      <DeploymentsCard taskId={detail.task.id} changes={view.deploymentChanges} />
      {wide ? (
        <div className="grid grid-cols-[minmax(0,5fr)_minmax(0,6fr)] items-start gap-6">
          {activity}
          <Tabs label="Result" tabs={results} value={shown} onChange={setChosen} />
        </div>
      ) : (
        <Tabs label="Run" tabs={[{ id: "activity", label: "Activity", icon: "list", panel: activity }, ...results]} value={shown} onChange={setChosen} />
      )}
    </div>
  );
}
