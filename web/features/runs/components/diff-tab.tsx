"use client";

import { useMemo } from "react";
import { DownloadLink } from "@/components/ui/button";
import { EmptyState, SkeletonRows } from "@/components/ui/card";
import { Notice } from "@/components/ui/chip";
import { ErrorCard } from "@/components/ui/error-card";
import type { Payloads } from "@/lib/api/events";
import { artifactUrl } from "@/lib/api/endpoints";
import { plural } from "@/lib/format/format";
import { parseDiff } from "../model/diff";
import { useArtifactText } from "../use-task";
import { DiffFileView } from "./diff-file";

/** What changed between base and head. */
export function DiffTab({ diff, finished, protectedPaths }: { diff: Payloads["diff.exported"] | null; finished: boolean; protectedPaths: readonly string[] }) {
  const text = useArtifactText(diff?.artifact_id ?? null);
  const files = useMemo(() => parseDiff(text.data ?? ""), [text.data]);
  if (!diff) {
    return <EmptyState title={finished ? "No diff" : "No diff yet"}>{finished ? "The run ended before anything was changed." : "It stands here as soon as the agent has finished."}</EmptyState>;
  }
  if (text.error) return <ErrorCard what="The diff could not be loaded." error={text.error} onRetry={() => void text.refetch()} />;
  if (text.isPending) return <SkeletonRows rows={3} label="Loading the diff" />;
  if (files.length === 0) return <EmptyState title="Nothing was changed">The files are as they were at the base commit.</EmptyState>;
  return (
    <div className="flex flex-col gap-4">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="text-sm">
          {plural(diff.files, "file")}, <span className="text-ok">+{diff.insertions}</span> <span className="text-err">−{diff.deletions}</span>
        </p>
        <DownloadLink href={artifactUrl(diff.artifact_id)}>Download</DownloadLink>
      </div>
      {protectedPaths.length > 0 && (
        <Notice tone="warn" title={`${plural(protectedPaths.length, "protected file")} to look at before you take this over`}>
          <ul className="mt-1 flex flex-col gap-0.5">
            {protectedPaths.map((path) => (
              <li key={path} className="font-mono text-xs break-all">
                {path}
              </li>
            ))}
          </ul>
          <p className="mt-1 text-muted">They can run code or hold secrets where the diff is applied. HyperCode applies them only when a person says so.</p>
        </Notice>
      )}
      {files.map((file) => (
        <DiffFileView key={file.path} file={file} />
      ))}
      <p className="text-[0.8125rem] text-muted">
        To take it over, download it and run <code className="font-mono">git apply</code> on it in your clone.
      </p>
    </div>
  );
}
