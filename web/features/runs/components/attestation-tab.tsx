"use client";

import { DownloadLink } from "@/components/ui/button";
import { Card, EmptyState } from "@/components/ui/card";
import { Notice } from "@/components/ui/chip";
import { CopyButton } from "@/components/ui/copy-button";
import { artifactUrl } from "@/lib/api/endpoints";
import type { Finding, Verdict } from "@/lib/api/events";
import { sentence } from "@/lib/format/format";
import { GRADE_LOOK } from "../model/words";
import { GradeChip } from "./chips";

const FILE_NAME = "attestation.json";
const VERIFY = `hypercode verify ${FILE_NAME}`;

interface Props {
  verdict: Verdict | null;
  words: string;
  artifactId: string | null;
  finished: boolean;
}

/** The platform's signed statement: the grade, what it means, what it does not prove, and how to check it. */
export function AttestationTab({ verdict, words, artifactId, finished }: Props) {
  if (!verdict) {
    return (
      <EmptyState title={finished ? "Nothing was attested" : "No attestation yet"}>
        {finished ? "The run ended before the platform could check a result." : "When the agent has finished, the platform runs the checks itself in a clean container and signs what they reported."}
      </EmptyState>
    );
  }
  return (
    <div className="flex flex-col gap-4">
      <Card className="flex flex-col gap-2">
        <div className="flex flex-wrap items-center gap-2">
          <GradeChip grade={verdict.grade} />
          <span className="text-sm font-medium">{verdict.verified ? "Verified" : "Not verified"}</span>
        </div>
        <p>{GRADE_LOOK[verdict.grade].meaning}</p>
        <p className="text-sm break-words text-muted">{sentence(verdict.reason)}</p>
      </Card>
      {verdict.environment_changed && (
        <Notice tone="warn" title="The change touches dependencies">The environment was built again for the result, so before and after ran in different ones.</Notice>
      )}
      <Findings findings={verdict.findings} />
      {words && (
        <Notice tone="neutral" title="The signed words: what this says, and what it does not">
          <p className="mt-1 break-words whitespace-pre-wrap">{words}</p>
        </Notice>
      )}
      {artifactId && (
        <Card className="flex flex-col gap-3 text-sm">
          <h3 className="font-medium">Check it yourself</h3>
          <p className="text-muted">The statement is signed with this instance’s key. Download it, then run:</p>
          <code className="rounded-lg bg-sunken px-3 py-2 font-mono text-xs">{VERIFY}</code>
          <div className="flex flex-wrap gap-2">
            <DownloadLink href={artifactUrl(artifactId)} name={FILE_NAME}>
              Download the attestation
            </DownloadLink>
            <CopyButton text={VERIFY} label="Copy the command" />
          </div>
        </Card>
      )}
    </div>
  );
}

function Findings({ findings }: { findings: Finding[] }) {
  if (findings.length === 0) return <p className="text-sm text-muted">No findings: nothing in the diff or the reports looks like tampering with the tests.</p>;
  return (
    <section aria-labelledby="findings" className="flex flex-col gap-2">
      <h3 id="findings" className="text-sm font-medium">
        Findings ({findings.length})
      </h3>
      {findings.map((finding, index) => (
        <Notice key={index} tone={finding.blocking ? "err" : "warn"} title={finding.message}>
          <span className="text-[0.8125rem] text-muted">
            {finding.path && <span className="font-mono">{finding.path} · </span>}
            <span className="font-mono">{finding.code}</span> · {finding.blocking ? "takes the grade away" : "to look at"}
          </span>
        </Notice>
      ))}
    </section>
  );
}
