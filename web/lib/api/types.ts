/** The API's nouns. Names follow the gateway's OpenAPI schema. */

export type RunStatus = "queued" | "running" | "waiting" | "verifying" | "succeeded" | "failed" | "cancelled";
export type WaitReason = "approval" | "answer" | "budget" | "paused" | "provider" | "children";
export type Grade = "fixed" | "agent_tests" | "regression_only" | "unproved";
export type AgentRole = "architect" | "coder";
export type Routing = "auto" | "coder" | "architect";
export type SourceKind = "local_path" | "git_url";

export interface User {
  id: string;
  organisation_id: string;
  email: string;
  name: string;
  role: "admin" | "maintainer" | "member";
  created_at: string;
}

export interface Me {
  user: User;
  csrf_token: string;
}

export interface Budget {
  max_turns: number | null;
  max_tokens: number | null;
  max_cost_usd: number | null;
  max_wall_s: number | null;
}

export interface Project {
  id: string;
  name: string;
  source_kind: SourceKind;
  source: string;
  created_at: string;
}

export interface ModelInfo {
  name: string;
  label: string;
  available: boolean;
  note: string;
}

export interface ModelList {
  items: ModelInfo[];
  default: string;
}

export interface NewProject {
  name?: string;
  source_kind: SourceKind;
  source: string;
}

export interface Task {
  id: string;
  project_id: string;
  prompt: string;
  model: string;
  routing: "coder" | "architect";
  checks: string[];
  require: Grade;
  budget: Budget;
  include_dirty: boolean;
  created_at: string;
}

export interface Run {
  id: string;
  project_id: string;
  task_id: string;
  parent_run_id: string | null;
  role: AgentRole;
  model: string;
  status: RunStatus;
  wait_reason: WaitReason | null;
  error_code: string | null;
  error_message: string | null;
  base_commit: string | null;
  proof: string | null;
  verified: boolean | null;
  cost_usd: number;
  tokens_in: number;
  tokens_out: number;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
}

export interface TaskWithRun {
  task: Task;
  run: Run;
}

export interface TaskPage {
  items: TaskWithRun[];
  next_cursor: string | null;
}

export interface TaskDetail {
  task: Task;
  project: Project;
  runs: Run[];
}

export interface NewTask {
  project_id: string;
  prompt: string;
  model?: string;
  routing?: Routing;
  checks?: string[];
  budget?: Partial<Budget>;
  include_dirty?: boolean;
}

export interface ApiToken {
  id: string;
  name: string;
  created_at: string;
  last_used_at: string | null;
}

export interface CreatedApiToken {
  token: ApiToken;
  secret: string;
}

export interface Artifact {
  id: string;
  run_id: string;
  kind: "diff" | "attestation" | "report" | "log";
  name: string;
  sha256: string;
  size: number;
  media_type: string;
  created_at: string;
}
