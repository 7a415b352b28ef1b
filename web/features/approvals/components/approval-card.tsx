"use client";

import { useId, useState, type ReactNode } from "react";
import { Ago } from "@/components/ui/ago";
import { Button } from "@/components/ui/button";
import { ErrorCard } from "@/components/ui/error-card";
import { TextArea } from "@/components/ui/field";
import { Icon } from "@/components/ui/icon";
import { useMe } from "@/features/auth";
import type { Approval, Decision } from "@/lib/api/types";
import { KIND_WORDS, mayMakeRules } from "../model/words";
import { useDecide } from "../use-approvals";
import { CallFacts, ExactCall } from "./exact-call";

type Asked = Pick<Approval, "id" | "tool" | "preview" | "rule" | "touched" | "expires_at">;

/** A call that waits for a person: what exactly it is, why they are asked, and what they can say. */
export function ApprovalCard({ approval, children }: { approval: Asked; children?: ReactNode }) {
  const heading = useId();
  const decide = useDecide(approval.id);
  const words = KIND_WORDS[approval.preview.kind];
  return (
    <section aria-labelledby={heading} className="flex flex-col gap-3 rounded-xl border border-warn/50 bg-card p-4 sm:p-5">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1">
        <h2 id={heading} className="flex items-center gap-2 font-semibold">
          <Icon name="shield" className="text-warn" />
          {words}
        </h2>
        <p className="text-[0.8125rem] text-muted">
          Goes on without it <Ago at={approval.expires_at} />
        </p>
      </div>
      {children}
      <ExactCall preview={approval.preview} label={words} />
      <CallFacts tool={approval.tool} rule={approval.rule} touched={approval.touched} />
      {decide.error && <ErrorCard what="Your decision was not taken." error={decide.error} />}
      <Choices busy={decide.isPending || decide.isSuccess} onDecide={decide.mutate} />
    </section>
  );
}

function Choices({ busy, onDecide }: { busy: boolean; onDecide: (decision: Decision) => void }) {
  const me = useMe();
  const [denying, setDenying] = useState(false);
  const [note, setNote] = useState("");
  if (denying) {
    return (
      <form
        className="flex flex-col gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          onDecide({ decision: "deny", note: note.trim() });
        }}
      >
        <TextArea label="A word to the agent" optional rows={2} maxLength={2000} value={note} onChange={(event) => setNote(event.target.value)} hint="It goes on without this call, and reads why." />
        <div className="flex flex-wrap gap-2">
          <Button type="submit" variant="danger" icon="x" busy={busy}>
            Deny
          </Button>
          <Button variant="quiet" disabled={busy} onClick={() => setDenying(false)}>
            Back
          </Button>
        </div>
      </form>
    );
  }
  return (
    <div className="flex flex-wrap gap-2">
      <Button variant="primary" icon="check" busy={busy} onClick={() => onDecide({ decision: "approve", scope: "once" })}>
        Approve once
      </Button>
      <Button disabled={busy} title="Its like in this task is not asked again" onClick={() => onDecide({ decision: "approve", scope: "task" })}>
        For this task
      </Button>
      {mayMakeRules(me.data?.user.role) && (
        <Button disabled={busy} title="Its like in this project is not asked again; you can take it back" onClick={() => onDecide({ decision: "approve", scope: "rule" })}>
          As a rule
        </Button>
      )}
      <Button disabled={busy} icon="x" onClick={() => setDenying(true)}>
        Deny…
      </Button>
    </div>
  );
}
