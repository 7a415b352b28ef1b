/** Events of a run: one payload type for each type of event. */
import type { AgentRole, Grade, RunStatus, WaitReason } from "./types";

export interface Check {
  argv: string[];
  framework: string | null;
  timeout_s: number;
}

export interface PlanItem {
  id: string;
  title: string;
  goal: string;
  depends_on: string[];
  paths: string[];
}

export interface Finding {
  code: string;
  message: string;
  path: string | null;
  blocking: boolean;
}

export interface Verdict {
  grade: Grade;
  reason: string;
  verified: boolean;
  findings: Finding[];
  now_passing: string[];
  still_failing: string[];
  newly_failing: string[];
  base_passed: number;
  base_failed: number;
  head_passed: number;
  head_failed: number;
  environment_changed: boolean;
}

export type PlanItemStatus = "delegated" | "finished" | "merged" | "conflicted" | "failed";

export interface Payloads {
  "run.queued": { task_id: string; role: AgentRole; model: string; prompt: string; parent_run_id: string | null; routed_by: string };
  "run.started": { role: AgentRole; model: string; base_commit: string; base_note: string };
  "run.status_changed": { status: RunStatus; wait_reason: WaitReason | null; detail: string };
  "notice.raised": { level: "info" | "warning" | "error"; code: string; message: string; hint: string };
  "environment.phase_changed": { phase: string; message: string };
  "environment.prepared": { image_id: string; recipe_source: string; recipe_digest: string; cached: boolean; build_s: number };
  "checks.frozen": { checks: Check[]; detected: boolean; base_passed: number; base_failed: number; base_red: string[] };
  "sandbox.started": { sandbox_id: string; phases_ms: Record<string, number> };
  "turn.completed": {
    turn: number;
    text: string;
    tool_calls: string[];
    model: string;
    tokens_in: number;
    tokens_out: number;
    cost_usd: number;
    duration_ms: number;
  };
  "tool_call.requested": { call_id: string; turn: number; tool: string; arguments: string };
  "tool_call.progressed": { call_id: string; message: string };
  "tool_call.completed": {
    call_id: string;
    tool: string;
    ok: boolean;
    code: string;
    summary: string;
    result: string;
    duration_ms: number;
  };
  "tool_call.uncertain": { call_id: string; tool: string };
  "plan.submitted": { plan_id: string; version: number; plan: { summary: string; items: PlanItem[] } };
  "plan_item.changed": { item_id: string; status: PlanItemStatus; child_run_id: string | null; detail: string };
  "diff.exported": { artifact_id: string; files: number; insertions: number; deletions: number; head_tree: string };
  "verification.phase_changed": { phase: string; message: string };
  "verification.finished": { verdict: Verdict; attestation_artifact_id: string | null; words: string };
  "run.finished": {
    status: RunStatus;
    proof: Grade;
    reason: string;
    verified: boolean;
    attestation: string | null;
    diff: string | null;
    tests: { passed: number; failed: number };
    cost: number;
    tokens_in: number;
    tokens_out: number;
    turns: number;
    elapsed_s: number;
    error_code: string | null;
    error_message: string | null;
    error_hint: string | null;
  };
}

export type EventType = keyof Payloads;

interface Envelope<T extends EventType> {
  run_id: string;
  seq: number;
  type: T;
  payload: Payloads[T];
  at: string;
}

/** An event as the stream sends it; a switch over `type` narrows `payload`. */
export type RunEvent = { [T in EventType]: Envelope<T> }[EventType];

export interface EventPage {
  items: RunEvent[];
  next_after: number | null;
}
