import { ApprovalCard, QuestionCard } from "@/features/approvals";
import type { Ask } from "../model/asks";

/** The cards of what the run waits for; they go when somebody has spoken, and the timeline says who and when. */
export function PendingAsks({ asks }: { asks: readonly Ask[] }) {
  return asks.map((ask) =>
    ask.type === "approval.requested" ? (
      <ApprovalCard key={ask.seq} approval={{ ...ask.payload, id: ask.payload.approval_id }} />
    ) : (
      <QuestionCard key={ask.seq} question={{ ...ask.payload, id: ask.payload.question_id }} />
    ),
  );
}
