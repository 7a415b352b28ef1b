/** The timeline's rows: events folded so that a person can follow them. Errors are never folded away. */
import type { EventOf, Payloads, RunEvent, Verdict } from "@/lib/api/events";
import type { Tone } from "@/components/ui/chip";
import type { IconName } from "@/components/ui/icon";
import { formatDuration, plural, sentence } from "@/lib/format/format";
import { GRADE_LOOK } from "./words";

interface RowBase {
  /** Stable while the row grows: the seq of its first event. */
  key: number;
  at: string;
}

export interface NoteRow extends RowBase {
  kind: "note";
  icon: IconName;
  tone: Tone;
  title: string;
  detail: string;
}

/** Several phases of one long piece of work, folded to the newest. */
export interface PhasesRow extends RowBase {
  kind: "phases";
  of: "environment" | "verification";
  title: string;
  lines: string[];
}

export interface TurnRow extends RowBase {
  kind: "turn";
  turn: number;
  text: string;
  model: string;
  tokens: number;
  costUsd: number;
  durationMs: number;
  /** The model is still saying it. */
  growing?: boolean;
}

export interface CallRow extends RowBase {
  kind: "call";
  callId: string;
  tool: string;
  arguments: string;
  progress: string;
  state: "running" | "ok" | "failed" | "uncertain" | "stopped";
  code: string;
  summary: string;
  result: string;
  durationMs: number | null;
}

/** What was asked of a person, and what they said. */
export interface AskRow extends RowBase {
  kind: "ask";
  icon: IconName;
  tone: Tone;
  title: string;
  /** The exact call, or the question. */
  text: string;
  detail: string;
}

export type Row = NoteRow | PhasesRow | TurnRow | CallRow | AskRow;

/** The row of a turn that is being said. Its key is the seq that its event will have, so that the row stays and only fills up. */
export function growingRow(said: { turn: number; text: string }, lastSeq: number): TurnRow {
  return { kind: "turn", key: lastSeq + 1, at: "", turn: said.turn, text: said.text, model: "", tokens: 0, costUsd: 0, durationMs: 0, growing: true };
}

/** What a batch grows; changed in place by addRows, made anew for every batch by its caller. */
export interface RowsDraft {
  rows: Row[];
  callRows: Record<string, number>;
  errors: number;
}

export function addRows(draft: RowsDraft, event: RunEvent): void {
  if (event.type === "run.finished") endCalls(draft);
  if (event.type.startsWith("tool_call.")) return addCall(draft, event);
  if (event.type.startsWith("approval.") || event.type.startsWith("question.")) return addAskRow(draft, event);
  if (event.type === "environment.phase_changed" || event.type === "verification.phase_changed") return addPhase(draft, event);
  if (event.type === "turn.completed") {
    const turn = event.payload;
    draft.rows.push({
      kind: "turn",
      key: event.seq,
      at: event.at,
      turn: turn.turn,
      text: turn.text,
      model: turn.model,
      tokens: turn.tokens_in + turn.tokens_out,
      costUsd: turn.cost_usd,
      durationMs: turn.duration_ms,
    });
    return;
  }
  const note = noteOf(event);
  if (!note) return;
  if (note.tone === "err") draft.errors += 1;
  draft.rows.push({ kind: "note", key: event.seq, at: event.at, ...note });
}

/** A call that the end of the run cut off runs no more. */
function endCalls(draft: RowsDraft): void {
  draft.rows = draft.rows.map((row) => (row.kind === "call" && row.state === "running" ? { ...row, state: "stopped", progress: "" } : row));
}

function addAskRow(draft: RowsDraft, event: RunEvent): void {
  const base = { kind: "ask" as const, key: event.seq, at: event.at };
  switch (event.type) {
    case "approval.requested": {
      const { approval_id, preview, rule } = event.payload;
      draft.callRows[`ask:${approval_id}`] = draft.rows.length;
      draft.rows.push({ ...base, icon: "shield", tone: "warn", title: "Asks for your approval", text: preview.text, detail: `Rule ${rule}` });
      return;
    }
    case "question.asked": {
      const { question_id, question } = event.payload;
      draft.callRows[`ask:${question_id}`] = draft.rows.length;
      draft.rows.push({ ...base, icon: "help", tone: "warn", title: "Asks you", text: question, detail: "" });
      return;
    }
    case "approval.decided":
      return changeAsk(draft, event.payload.approval_id, decisionLook(event.payload));
    case "question.answered": {
      const { question_id, state, answer, by } = event.payload;
      const answered = state === "answered";
      return changeAsk(draft, question_id, { icon: answered ? "check" : "clock", tone: answered ? "ok" : "neutral", title: answered ? `Answered by ${by}` : "Nobody answered in time", detail: answer ?? "" });
    }
    default:
  }
}

function changeAsk(draft: RowsDraft, id: string, change: Partial<AskRow>): void {
  const index = draft.callRows[`ask:${id}`];
  const row = index === undefined ? undefined : draft.rows[index];
  if (index === undefined || row?.kind !== "ask") return;
  draft.rows[index] = { ...row, ...change };
}

const REACH = { once: "once", task: "for this task", rule: "as a rule" } as const;

function decisionLook(decided: Payloads["approval.decided"]): Pick<AskRow, "icon" | "tone" | "title" | "detail"> {
  const { state, scope, by, note } = decided;
  if (state === "approved") return { icon: "check", tone: "ok", title: `Approved ${REACH[scope ?? "once"]} by ${by}`, detail: note };
  if (state === "denied") return { icon: "xCircle", tone: "neutral", title: `Refused by ${by}`, detail: note };
  return { icon: "clock", tone: "neutral", title: "Nobody approved it in time", detail: note };
}

function addPhase(draft: RowsDraft, event: EventOf<"environment.phase_changed" | "verification.phase_changed">): void {
  const of = event.type === "environment.phase_changed" ? "environment" : "verification";
  const line = event.payload.message || event.payload.phase;
  const last = draft.rows.at(-1);
  if (last?.kind === "phases" && last.of === of) {
    draft.rows[draft.rows.length - 1] = { ...last, lines: [...last.lines, line] };
    return;
  }
  const title = of === "environment" ? "Preparing the environment" : "The platform checks the result";
  draft.rows.push({ kind: "phases", key: event.seq, at: event.at, of, title, lines: [line] });
}

function addCall(draft: RowsDraft, event: RunEvent): void {
  if (event.type === "tool_call.requested") {
    const { call_id, tool } = event.payload;
    draft.callRows[call_id] = draft.rows.length;
    draft.rows.push({
      kind: "call",
      key: event.seq,
      at: event.at,
      callId: call_id,
      tool,
      arguments: event.payload.arguments,
      progress: "",
      state: "running",
      code: "",
      summary: "",
      result: "",
      durationMs: null,
    });
    return;
  }
  const part = callChange(event);
  if (!part) return;
  const index = draft.callRows[part.callId];
  const row = index === undefined ? undefined : draft.rows[index];
  if (index === undefined || row?.kind !== "call") return;
  if (part.state === "failed" || part.state === "uncertain") draft.errors += 1;
  draft.rows[index] = { ...row, ...part };
}

function callChange(event: RunEvent): (Partial<CallRow> & { callId: string }) | null {
  switch (event.type) {
    case "tool_call.progressed":
      return { callId: event.payload.call_id, progress: event.payload.message };
    case "tool_call.completed": {
      const { call_id, ok, code, summary, result, duration_ms } = event.payload;
      return { callId: call_id, state: ok ? "ok" : "failed", code, summary, result, durationMs: duration_ms };
    }
    case "tool_call.uncertain":
      return { callId: event.payload.call_id, state: "uncertain", summary: "Interrupted: whether it took effect is unknown, and the model was told." };
    default:
      return null;
  }
}

function verdictNote(verdict: Verdict): Note {
  const { words, icon } = GRADE_LOOK[verdict.grade];
  return { icon, tone: verdict.verified ? "ok" : "warn", title: `${words}${verdict.verified ? ", verified" : ", not verified"}`, detail: sentence(verdict.reason) };
}

type Note = Pick<NoteRow, "icon" | "tone" | "title" | "detail">;
const NOTICE_TONE = { info: "neutral", warning: "warn", error: "err" } as const;

function noteOf(event: RunEvent): Note | null {
  switch (event.type) {
    case "run.queued":
      return { icon: "clock", tone: "neutral", title: `Queued for ${event.payload.role === "architect" ? "the Architect" : "a Coder"}`, detail: event.payload.routed_by === "user" ? "" : `Chosen by ${event.payload.routed_by}` };
    case "run.started":
      return { icon: "git", tone: "neutral", title: `Started from commit ${event.payload.base_commit.slice(0, 10)}`, detail: event.payload.base_note };
    case "run.status_changed":
      // What a person is asked has a row of its own.
      return event.payload.status === "waiting" && !["approval", "answer"].includes(event.payload.wait_reason ?? "") ? { icon: "pause", tone: "warn", title: "Waiting", detail: event.payload.detail } : null;
    case "notice.raised": {
      const { level, message, hint } = event.payload;
      return { icon: level === "info" ? "info" : "alert", tone: NOTICE_TONE[level], title: message, detail: hint };
    }
    case "environment.prepared": {
      const { cached, build_s, recipe_source } = event.payload;
      return { icon: "check", tone: "ok", title: cached ? "Environment taken from the cache" : `Environment built in ${formatDuration(build_s)}`, detail: `Recipe: ${recipe_source}` };
    }
    case "checks.frozen": {
      const { checks, base_passed, base_failed } = event.payload;
      const title = checks.length === 0 ? "No check found" : `Checks fixed: ${base_passed} green and ${base_failed} red before the work`;
      return { icon: "flask", tone: checks.length === 0 ? "warn" : "neutral", title, detail: checks.map((check) => check.argv.join(" ")).join("\n") };
    }
    case "plan.submitted":
      return { icon: "plan", tone: "accent", title: `Plan with ${plural(event.payload.plan.items.length, "part")}`, detail: event.payload.plan.summary };
    case "plan_item.changed": {
      const bad = event.payload.status === "failed" || event.payload.status === "conflicted";
      return { icon: bad ? "alert" : "plan", tone: bad ? "err" : "neutral", title: `Part “${event.payload.item_id}” ${event.payload.status}`, detail: event.payload.detail };
    }
    case "deployment.changed": {
      const { status, detail } = event.payload;
      if (status === "serving") return { icon: "monitor", tone: "ok", title: "A deployment runs", detail };
      return status === "failed" ? { icon: "alert", tone: "err", title: "A deployment did not get healthy", detail } : null;
    }
    case "diff.exported": {
      const { files, insertions, deletions } = event.payload;
      return { icon: "file", tone: "neutral", title: `Diff stored: ${plural(files, "file")}, +${insertions} −${deletions}`, detail: "" };
    }
    case "verification.finished":
      return verdictNote(event.payload.verdict);
    case "run.finished": {
      const { status, error_message, error_hint } = event.payload;
      if (status === "failed") return { icon: "xCircle", tone: "err", title: error_message ?? "The run failed", detail: error_hint ?? "" };
      return status === "cancelled" ? { icon: "stop", tone: "neutral", title: "Stopped", detail: "" } : { icon: "check", tone: "neutral", title: "Finished", detail: "" };
    }
    default:
      return null;
  }
}
