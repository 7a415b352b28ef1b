"use client";

import { EmptyState, SkeletonRows } from "@/components/ui/card";
import { DownloadLink } from "@/components/ui/button";
import { ErrorCard } from "@/components/ui/error-card";
import { artifactUrl } from "@/lib/api/endpoints";
import type { Artifact } from "@/lib/api/types";
import { formatBytes } from "@/lib/format/format";
import { useArtifacts } from "../use-task";

const KIND: Record<Artifact["kind"], string> = { diff: "Diff", attestation: "Attestation", report: "Report", log: "Log" };

/** The run's stored outputs, to download. */
export function FilesTab({ runId, marker }: { runId: string; marker: string }) {
  const files = useArtifacts(runId, marker);
  if (files.error) return <ErrorCard what="The files could not be loaded." error={files.error} onRetry={() => void files.refetch()} />;
  if (!files.data) return <SkeletonRows rows={2} label="Loading files" />;
  if (files.data.length === 0) return <EmptyState title="No files yet">Diffs, reports, logs and the attestation are kept here.</EmptyState>;
  return (
    <ul className="divide-y divide-line overflow-hidden rounded-xl border border-line bg-card">
      {files.data.map((file) => (
        <li key={file.id} className="flex flex-wrap items-center justify-between gap-2 px-4 py-2.5 text-sm">
          <div className="min-w-0">
            <p className="font-mono text-[0.8125rem] break-all">{file.name}</p>
            <p className="text-[0.8125rem] text-muted">
              {KIND[file.kind]} · {formatBytes(file.size)} · sha256 <span className="font-mono">{file.sha256.slice(0, 12)}</span>
            </p>
          </div>
          <DownloadLink href={artifactUrl(file.id)}>
            Download<span className="sr-only"> {file.name}</span>
          </DownloadLink>
        </li>
      ))}
    </ul>
  );
}
