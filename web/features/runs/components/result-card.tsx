import { Notice } from "@/components/ui/chip";
import type { Grade } from "@/lib/api/types";
import { plural } from "@/lib/format/format";
import type { RunView } from "../model/run-view";
import { GRADE_LOOK } from "../model/words";

/** The outcome in one glance: what was shown, what it means, or what went wrong. */
export function ResultCard({ view, require }: { view: RunView; require: Grade }) {
  const { finished, verdict } = view;
  if (!finished) return null;
  if (finished.error_message) {
    return (
      <Notice tone="err" role="status" title={finished.error_message}>
        {finished.error_hint}
        {finished.error_code && <p className="mt-1 font-mono text-xs text-muted">{finished.error_code}</p>}
      </Notice>
    );
  }
  if (finished.status === "cancelled") {
    return <Notice tone="neutral" icon="stop" role="status" title="Stopped by a person. Nothing was judged." />;
  }
  const grade = GRADE_LOOK[finished.proof];
  return (
    <Notice tone={finished.verified ? "ok" : "warn"} icon={grade.icon} role="status" title={`${grade.words}${finished.verified ? ": verified by the platform" : ""}`}>
      <p>{finished.reason || grade.meaning}</p>
      {!finished.verified && <p className="mt-1 text-muted">The task asks for “{GRADE_LOOK[require].words}”, so this is not verified.</p>}
      {verdict && verdict.findings.length > 0 && (
        <p className="mt-1">{plural(verdict.findings.length, "finding")} to look at under Attestation.</p>
      )}
    </Notice>
  );
}
