/** One function for each call of the API. */
import { call, callJson, setCsrfToken } from "./client";
import type { EventPage } from "./events";
import type {
  ApiToken,
  Artifact,
  Me,
  CreatedApiToken,
  ModelList,
  NewProject,
  NewTask,
  Project,
  Run,
  TaskDetail,
  TaskPage,
} from "./types";

export const setupNeeded = () => callJson<{ needed: boolean }>("/setup", { anonymous: true });

export const setUpAdmin = (body: { token: string; email: string; name: string; password: string }) =>
  callJson<unknown>("/setup", { method: "POST", body, anonymous: true });

export const signIn = (body: { email: string; password: string }) =>
  callJson<unknown>("/login", { method: "POST", body, anonymous: true });

export const signOut = () => callJson<unknown>("/logout", { method: "POST" });

export async function fetchMe(): Promise<Me> {
  const me = await callJson<Me>("/me");
  setCsrfToken(me.csrf_token);
  return me;
}

export const listModels = () => callJson<ModelList>("/models");

export const listProjects = async () => (await callJson<{ items: Project[] }>("/projects")).items;

export const connectProject = (body: NewProject) =>
  callJson<Project>("/projects", { method: "POST", body });

export function listTasks(query: { status?: string; cursor?: string; limit?: number }): Promise<TaskPage> {
  const params = new URLSearchParams();
  if (query.status) params.set("status", query.status);
  if (query.cursor) params.set("cursor", query.cursor);
  params.set("limit", String(query.limit ?? 25));
  return callJson<TaskPage>(`/tasks?${params}`);
}

/** Idempotent by key, so that a retried click never makes two tasks. */
export const createTask = (body: NewTask, idempotencyKey: string) =>
  callJson<{ task_id: string; run_id: string }>("/tasks", {
    method: "POST",
    body,
    headers: { "Idempotency-Key": idempotencyKey },
  });

export const getTask = (id: string) => callJson<TaskDetail>(`/tasks/${encodeURIComponent(id)}`);

export const cancelRun = (id: string) => callJson<unknown>(`/runs/${encodeURIComponent(id)}/cancel`, { method: "POST" });

export const getRun = (id: string) => callJson<Run>(`/runs/${encodeURIComponent(id)}`);

export const listEvents = (runId: string, after: number, signal?: AbortSignal) =>
  callJson<EventPage>(`/runs/${encodeURIComponent(runId)}/events?after=${after}`, { signal });

export const listArtifacts = async (runId: string) =>
  (await callJson<{ items: Artifact[] }>(`/runs/${encodeURIComponent(runId)}/artifacts`)).items;

export const artifactUrl = (id: string) => `/api/v1/artifacts/${encodeURIComponent(id)}`;

export async function readArtifact(id: string): Promise<string> {
  const response = await call(`/artifacts/${encodeURIComponent(id)}`, { headers: { Accept: "*/*" } });
  return response.text();
}

export const listTokens = async () => (await callJson<{ items: ApiToken[] }>("/tokens")).items;

export const createToken = (name: string) => callJson<CreatedApiToken>("/tokens", { method: "POST", body: { name } });

export const revokeToken = (id: string) => callJson<unknown>(`/tokens/${encodeURIComponent(id)}`, { method: "DELETE" });
