import { Notice } from "@/components/ui/chip";
import type { Verdict } from "@/lib/api/events";
import type { Grade } from "@/lib/api/types";
import { plural, sentence } from "@/lib/format/format";
import type { RunView } from "../model/run-view";
import { GRADE_LOOK } from "../model/words";

/** What the counts say, for people who know no grades; the tests' names stand under Tests. */
function fixedWords(verdict: Verdict): string {
  const now = verdict.now_passing.length;
  return `${plural(now, "test")} that failed before ${now === 1 ? "passes" : "pass"} now, and nothing that passed before fails: ${verdict.head_passed} of ${verdict.head_passed + verdict.head_failed} pass.`;
}

/** The outcome in one glance: what was shown, what it means, or what went wrong. */
export function ResultCard({ view, require }: { view: RunView; require: Grade }) {
  const { finished, verdict } = view;
  if (!finished) return null;
  if (finished.status === "cancelled") {
    return (
      <Notice tone="neutral" icon="stop" role="status" title="Stopped by a person. Nothing was judged.">
        {view.diff && view.diff.files > 0 && "What was done so far is kept under Diff."}
      </Notice>
    );
  }
  if (finished.error_message) {
    return (
      <Notice tone="err" role="status" title={finished.error_message}>
        {finished.error_hint}
        {finished.error_code && <p className="mt-1 font-mono text-xs text-muted">{finished.error_code}</p>}
      </Notice>
    );
  }
  const grade = GRADE_LOOK[finished.proof];
  return (
    <Notice tone={finished.verified ? "ok" : "warn"} icon={grade.icon} role="status" title={`${grade.words}${finished.verified ? ": verified by the platform" : ""}`}>
      <p>{finished.proof === "fixed" && verdict ? fixedWords(verdict) : sentence(finished.reason) || grade.meaning}</p>
      {!finished.verified && <p className="mt-1 text-muted">The task asks for “{GRADE_LOOK[require].words}”, so this is not verified.</p>}
      {verdict && verdict.findings.length > 0 && (
        <p className="mt-1">{plural(verdict.findings.length, "finding")} to look at under Attestation.</p>
      )}
    </Notice>
  );
}
