/** The one reducer: a run's events folded into what the page shows. Pure. */
import type { EventOf, Payloads, PlanItemStatus, RunEvent, Verdict } from "@/lib/api/events";
import type { AgentRole, RunStatus, WaitReason } from "@/lib/api/types";
import { addAsk, type Ask } from "./asks";
import { addRows, type Row } from "./rows";

export interface PlanProgress {
  status: PlanItemStatus | "open";
  childRunId: string | null;
  detail: string;
}

export interface RunView {
  role: AgentRole | null;
  model: string;
  status: RunStatus;
  waitReason: WaitReason | null;
  /** What happens right now, in words. */
  step: string;
  queuedAt: string | null;
  startedAt: string | null;
  endedAt: string | null;
  turns: number;
  tokens: number;
  costUsd: number;
  plan: Payloads["plan.submitted"]["plan"] | null;
  planProgress: Readonly<Record<string, PlanProgress>>;
  checks: Payloads["checks.frozen"] | null;
  diff: Payloads["diff.exported"] | null;
  verdict: Verdict | null;
  verdictWords: string;
  attestationId: string | null;
  finished: Payloads["run.finished"] | null;
  /** What the run asks a person right now, oldest first. */
  asks: readonly Ask[];
  /** How often a deployment changed: when it moves, the list of them is read again. */
  deploymentChanges: number;
  errors: number;
  rows: readonly Row[];
  /** Index in rows by call id, so that a result finds its request. */
  callRows: Readonly<Record<string, number>>;
}

export const EMPTY_VIEW: RunView = {
  role: null,
  model: "",
  status: "queued",
  waitReason: null,
  step: "",
  queuedAt: null,
  startedAt: null,
  endedAt: null,
  turns: 0,
  tokens: 0,
  costUsd: 0,
  plan: null,
  planProgress: {},
  checks: null,
  diff: null,
  verdict: null,
  verdictWords: "",
  attestationId: null,
  finished: null,
  asks: [],
  deploymentChanges: 0,
  errors: 0,
  rows: [],
  callRows: {},
};

/** Fold a batch of events, in order, into the view. */
export function reduceRun(view: RunView, events: readonly RunEvent[]): RunView {
  if (events.length === 0) return view;
  // Copied once for each batch, then changed in place: the batch is one step for everybody outside.
  const next: RunView = { ...view };
  const rows = { rows: [...view.rows], callRows: { ...view.callRows }, errors: view.errors };
  for (const event of events) {
    Object.assign(next, changeOf(next, event));
    next.asks = addAsk(next.asks, event);
    addRows(rows, event);
  }
  return { ...next, ...rows };
}

function changeOf(view: RunView, event: RunEvent): Partial<RunView> {
  switch (event.type) {
    case "run.queued":
      return { role: event.payload.role, model: event.payload.model, queuedAt: event.at, step: "Waiting for a worker" };
    case "run.started":
      return { status: "running", startedAt: event.at, role: event.payload.role, model: event.payload.model, step: "Preparing" };
    case "run.status_changed":
      return { status: event.payload.status, waitReason: event.payload.wait_reason, ...(event.payload.detail ? { step: event.payload.detail } : {}) };
    case "environment.phase_changed":
      return { step: event.payload.message || "Building the environment" };
    case "environment.prepared":
      return { step: "The environment is ready" };
    case "checks.frozen":
      return { checks: event.payload, step: "The checks are fixed" };
    case "sandbox.started":
      return { step: "The agent starts" };
    case "turn.completed":
      return addTurn(view, event.payload);
    case "tool_call.requested":
      return { step: toolWords(event.payload.tool) };
    case "tool_call.completed":
      return { step: "Thinking" };
    case "plan.submitted":
      return { plan: event.payload.plan, planProgress: {}, step: "The plan stands" };
    case "plan_item.changed": {
      const { item_id, status, child_run_id, detail } = event.payload;
      const before = view.planProgress[item_id];
      const progress = { status, childRunId: child_run_id ?? before?.childRunId ?? null, detail };
      return { planProgress: { ...view.planProgress, [item_id]: progress } };
    }
    case "deployment.changed":
      return { deploymentChanges: view.deploymentChanges + 1 };
    case "diff.exported":
      return { diff: event.payload, step: "The diff is stored" };
    case "verification.phase_changed":
      return { step: event.payload.message || "Checking the result" };
    case "verification.finished":
      return { verdict: event.payload.verdict, verdictWords: event.payload.words, attestationId: event.payload.attestation_artifact_id };
    case "run.finished":
      return finish(view, event);
    default:
      return {};
  }
}

function addTurn(view: RunView, turn: Payloads["turn.completed"]): Partial<RunView> {
  return {
    turns: Math.max(view.turns, turn.turn),
    tokens: view.tokens + turn.tokens_in + turn.tokens_out,
    costUsd: view.costUsd + turn.cost_usd,
    step: turn.tool_calls.length > 0 ? "Using tools" : "Thinking",
  };
}

function finish(view: RunView, event: EventOf<"run.finished">): Partial<RunView> {
  const end = event.payload;
  return {
    finished: end,
    status: end.status,
    waitReason: null,
    endedAt: event.at,
    turns: end.turns,
    tokens: end.tokens_in + end.tokens_out,
    costUsd: end.cost,
    attestationId: end.attestation ?? view.attestationId,
    step: "",
  };
}

const TOOL_WORDS: Record<string, string> = {
  fs_read: "Reading a file",
  fs_write: "Writing a file",
  fs_edit: "Editing a file",
  fs_search: "Searching the code",
  fs_tree: "Looking at the files",
  sh_exec: "Running a command",
  git_status: "Looking at the changes",
  git_diff: "Reading the diff",
  git_commit: "Committing",
  sh_start: "Starting a process",
  sh_read: "Reading a process's output",
  sh_write: "Writing to a process",
  sh_kill: "Ending a process",
  sh_list: "Looking at the processes",
  resource_read: "Reading a full output",
  resource_list: "Looking at the outputs",
  test_discover: "Looking for tests",
  test_run: "Running tests",
  lint_run: "Linting",
  type_check: "Checking types",
  repair_failing_test: "Searching a repair",
  plan_submit: "Writing the plan",
  plan_status: "Looking at the plan",
  task_delegate: "Handing over to a Coder",
  ask_user: "Asking a person",
  container_build: "Building an image",
  container_run: "Starting a container",
  container_exec: "Running a command in a container",
  container_logs: "Reading a container's output",
  deploy: "Deploying",
  deploy_status: "Looking at the deployments",
  deploy_rollback: "Going back to the deployment before",
  deploy_stop: "Stopping a deployment",
};

/** A tool's name as a person would say it. */
export function toolWords(tool: string): string {
  return TOOL_WORDS[tool] ?? `Using ${tool}`;
}
