"use client";

import Link from "next/link";
import { Ago } from "@/components/ui/ago";
import { Button } from "@/components/ui/button";
import { EmptyState, PageHeading, SkeletonRows } from "@/components/ui/card";
import { Chip } from "@/components/ui/chip";
import { ErrorCard } from "@/components/ui/error-card";
import { useMe } from "@/features/auth";
import { useNow } from "@/lib/clock";
import type { Approval } from "@/lib/api/types";
import { mayMakeRules, outcomeWords, REACH, STATE_TONE } from "../model/words";
import { useApproved, useOpenQuestions, usePendingApprovals, useRecentApprovals, useWithdraw } from "../use-approvals";
import { ApprovalCard } from "./approval-card";
import { QuestionCard } from "./question-card";

function ToTask({ asked }: { asked: { task_id: string; run_id: string; requested_at: string } }) {
  return (
    <p className="text-sm text-muted">
      Asked <Ago at={asked.requested_at} /> by{" "}
      <Link href={`/task?id=${asked.task_id}&run=${asked.run_id}`} className="text-accent underline-offset-2 hover:underline">
        this run
      </Link>
    </p>
  );
}

function Waiting() {
  const approvals = usePendingApprovals();
  const questions = useOpenQuestions();
  const error = approvals.error ?? questions.error;
  const shown = [...(approvals.data?.items ?? []), ...(questions.data?.items ?? [])].sort((one, two) => one.requested_at.localeCompare(two.requested_at));
  return (
    <section aria-label="Waiting for you" className="flex flex-col gap-4">
      {(approvals.isPending || questions.isPending) && <SkeletonRows rows={2} label="Loading what waits" />}
      {error && <ErrorCard what="What waits for you could not be loaded." error={error} onRetry={() => void Promise.all([approvals.refetch(), questions.refetch()])} />}
      {approvals.data && questions.data && shown.length === 0 && <EmptyState title="Nothing waits for you">When a rule wants your word on a call, or an agent has a question, it stands here and on the task’s page.</EmptyState>}
      {shown.map((asked) =>
        "preview" in asked ? (
          <ApprovalCard key={asked.id} approval={asked}>
            <ToTask asked={asked} />
          </ApprovalCard>
        ) : (
          <QuestionCard key={asked.id} question={asked}>
            <ToTask asked={asked} />
          </QuestionCard>
        ),
      )}
    </section>
  );
}

function Line({ approval, children }: { approval: Approval; children: React.ReactNode }) {
  return (
    <li className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1.5 px-4 py-3 text-sm">
      <span className="min-w-0 flex-1 basis-64 truncate font-mono text-xs" title={approval.preview.text}>
        {approval.preview.text.split("\n", 1)[0]}
      </span>
      <span className="flex flex-wrap items-center gap-3">{children}</span>
    </li>
  );
}

/** Approvals that let more than one call pass, and the way to end that. */
function Standing() {
  const approved = useApproved();
  const withdraw = useWithdraw();
  const me = useMe();
  const now = useNow();
  const standing = (approved.data?.items ?? []).filter((each) => each.scope !== "once" && Date.parse(each.expires_at) > now);
  if (standing.length === 0) return null;
  return (
    <section aria-labelledby="standing">
      <h2 id="standing" className="mb-2 font-semibold">
        Still in force
      </h2>
      {withdraw.error && <ErrorCard what="It was not taken back." error={withdraw.error} />}
      <ul className="divide-y divide-line rounded-xl border border-line bg-card">
        {standing.map((approval) => (
          <Line key={approval.id} approval={approval}>
            <span className="text-muted">
              {REACH[approval.scope ?? "once"]}, by {approval.decided_by}, ends <Ago at={approval.expires_at} />
            </span>
            {(approval.scope === "task" || mayMakeRules(me.data?.user.role)) && (
              <Button busy={withdraw.isPending && withdraw.variables === approval.id} onClick={() => withdraw.mutate(approval.id)}>
                Take back
              </Button>
            )}
          </Line>
        ))}
      </ul>
    </section>
  );
}

function Decided() {
  const recent = useRecentApprovals();
  const decided = (recent.data?.items ?? []).filter((each) => each.state !== "pending");
  if (recent.error) return <ErrorCard what="Earlier decisions could not be loaded." error={recent.error} onRetry={() => void recent.refetch()} />;
  if (decided.length === 0) return null;
  return (
    <section aria-labelledby="decided">
      <h2 id="decided" className="mb-2 font-semibold">
        Decided
      </h2>
      <ul className="divide-y divide-line rounded-xl border border-line bg-card">
        {decided.map((approval) => (
          <Line key={approval.id} approval={approval}>
            <Chip tone={STATE_TONE[approval.state]}>{outcomeWords(approval)}</Chip>
            <span className="text-muted">
              <Ago at={approval.decided_at ?? approval.expires_at} />
            </span>
          </Line>
        ))}
      </ul>
    </section>
  );
}

export function ApprovalsPage() {
  return (
    <div className="mx-auto flex max-w-4xl flex-col gap-8">
      <div>
        <PageHeading title="Approvals" lead="What agents may do only with your word, and what they ask you." />
        <Waiting />
      </div>
      <Standing />
      <Decided />
    </div>
  );
}
