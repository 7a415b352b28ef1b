/** What a run asks a person and nobody has said yet. Pure. */
import type { EventOf, RunEvent } from "@/lib/api/events";

export type Ask = EventOf<"approval.requested"> | EventOf<"question.asked">;

export function addAsk(asks: readonly Ask[], event: RunEvent): readonly Ask[] {
  switch (event.type) {
    case "approval.requested":
    case "question.asked":
      return [...asks, event];
    case "approval.decided":
      return asks.filter((ask) => ask.type !== "approval.requested" || ask.payload.approval_id !== event.payload.approval_id);
    case "question.answered":
      return asks.filter((ask) => ask.type !== "question.asked" || ask.payload.question_id !== event.payload.question_id);
    case "run.finished":
      return asks.length > 0 ? [] : asks;
    default:
      return asks;
  }
}
