/** One function for each call of the API. */
import { client, dataOf, setCsrfToken } from "./client";
import type { ApprovalState, Decision, EventPage, NewProject, NewTask, QuestionState, RunStatus } from "./types";

export const setupNeeded = () => dataOf(client.GET("/api/v1/setup"));

export const setUpAdmin = (body: { token: string; email: string; name: string; password: string }) =>
  dataOf(client.POST("/api/v1/setup", { body }));

export const signIn = (body: { email: string; password: string }) => dataOf(client.POST("/api/v1/login", { body }));

export const signOut = () => dataOf(client.POST("/api/v1/logout"));

export async function fetchMe() {
  const me = await dataOf(client.GET("/api/v1/me"));
  setCsrfToken(me.csrf_token);
  return me;
}

export const listModels = () => dataOf(client.GET("/api/v1/models"));

export const listProjects = async () => (await dataOf(client.GET("/api/v1/projects"))).items;

export const connectProject = (body: NewProject) => dataOf(client.POST("/api/v1/projects", { body }));

export const listTasks = (query: { status?: RunStatus; cursor?: string; limit: number }) =>
  dataOf(client.GET("/api/v1/tasks", { params: { query } }));

/** Idempotent by key, so that a retried click never makes two tasks. */
export const createTask = (body: NewTask, idempotencyKey: string) =>
  dataOf(client.POST("/api/v1/tasks", { body, params: { header: { "idempotency-key": idempotencyKey } } }));

export const getTask = (id: string) => dataOf(client.GET("/api/v1/tasks/{task_id}", { params: { path: { task_id: id } } }));

export const cancelRun = (id: string) => dataOf(client.POST("/api/v1/runs/{run_id}/cancel", { params: { path: { run_id: id } } }));

export const listApprovals = (query: { state?: ApprovalState; cursor?: string; limit?: number }) =>
  dataOf(client.GET("/api/v1/approvals", { params: { query } }));

export const decideApproval = (id: string, body: Decision) =>
  dataOf(client.POST("/api/v1/approvals/{approval_id}/decision", { params: { path: { approval_id: id } }, body }));

export const withdrawApproval = (id: string) =>
  dataOf(client.POST("/api/v1/approvals/{approval_id}/withdrawal", { params: { path: { approval_id: id } } }));

export const listQuestions = (query: { state?: QuestionState; limit?: number }) => dataOf(client.GET("/api/v1/questions", { params: { query } }));

export const answerQuestion = (id: string, answer: string) =>
  dataOf(client.POST("/api/v1/questions/{question_id}/answer", { params: { path: { question_id: id } }, body: { answer } }));

/** The most that the server gives at once. */
const PAGE = 1000;

/** A page of events as JSON; the same address streams them to who asks for a stream. */
export async function listEvents(runId: string, after: number, signal: AbortSignal): Promise<EventPage> {
  const params = { path: { run_id: runId }, query: { after, limit: PAGE } };
  const headers = { Accept: "application/json" };
  const page = await dataOf(client.GET("/api/v1/runs/{run_id}/events", { params, headers, signal }));
  if (typeof page === "string") throw new Error("the server sent a stream where a page was asked for");
  return page;
}

export const listArtifacts = async (runId: string) =>
  (await dataOf(client.GET("/api/v1/runs/{run_id}/artifacts", { params: { path: { run_id: runId } } }))).items;

/** Where the browser downloads an artifact from. */
export const artifactUrl = (id: string) => `/api/v1/artifacts/${encodeURIComponent(id)}`;

/** An empty one, such as the diff of a run that changed nothing, comes as no data at all. */
export const readArtifact = async (id: string) =>
  (await dataOf<string | undefined>(client.GET("/api/v1/artifacts/{artifact_id}", { params: { path: { artifact_id: id } }, parseAs: "text" }))) ?? "";

export const listDeployments = async (taskId: string) =>
  (await dataOf(client.GET("/api/v1/tasks/{task_id}/deployments", { params: { path: { task_id: taskId } } }))).items;

export const stopDeployment = (id: string) =>
  dataOf(client.POST("/api/v1/deployments/{deployment_id}/stop", { params: { path: { deployment_id: id } } }));

/** A one-time address of the preview, for this browser. */
export const previewUrl = async (id: string) =>
  (await dataOf(client.POST("/api/v1/deployments/{deployment_id}/ticket", { params: { path: { deployment_id: id } } }))).url;

export const listTokens = async () => (await dataOf(client.GET("/api/v1/tokens"))).items;

export const createToken = (name: string) => dataOf(client.POST("/api/v1/tokens", { body: { name } }));

export const revokeToken = (id: string) => dataOf(client.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: id } } }));
