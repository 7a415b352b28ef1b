import type { NewTask, Routing } from "@/lib/api/types";

/** What stands in the composer. */
export interface Draft {
  prompt: string;
  projectId: string;
  model: string;
  routing: Routing;
  checks: string;
  maxTurns: string;
  includeDirty: boolean;
}

export const EMPTY_DRAFT: Draft = {
  prompt: "",
  projectId: "",
  model: "",
  routing: "auto",
  checks: "",
  maxTurns: "",
  includeDirty: false,
};

/** One command a line; blank lines do not count. */
export function checksOf(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/** The request that a draft stands for. */
export function requestOf(draft: Draft): NewTask {
  const turns = Number.parseInt(draft.maxTurns, 10);
  return {
    project_id: draft.projectId,
    prompt: draft.prompt.trim(),
    routing: draft.routing,
    checks: checksOf(draft.checks),
    include_dirty: draft.includeDirty,
    ...(draft.model ? { model: draft.model } : {}),
    ...(Number.isFinite(turns) && turns > 0 ? { budget: { max_turns: turns } } : {}),
  };
}

/** A random key for one request; works on plain http too, where crypto.randomUUID does not exist. */
export function newIdempotencyKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
