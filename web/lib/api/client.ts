/** The one place that talks HTTP: same origin, cookie sign-in, CSRF header, problem+json errors. */

const BASE = "/api/v1";

interface Problem {
  code?: string;
  title?: string;
  detail?: string;
  hint?: string;
  request_id?: string;
}

/** Every failed call, as a fact, a stable code, what to do, and the id to look it up by. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint: string,
    readonly requestId: string,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

let csrfToken = "";
let onUnauthenticated: () => void = () => undefined;

export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** The app says here what a lost sign-in leads to. */
export function setUnauthenticatedHandler(handler: () => void): void {
  onUnauthenticated = handler;
}

/** Make an ApiError of an answer that is not 2xx. */
export async function errorOf(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => ({}))) as Problem;
  return new ApiError(
    response.status,
    problem.code ?? "UNEXPECTED",
    problem.detail ?? problem.title ?? `The server answered ${response.status}.`,
    problem.hint ?? "",
    problem.request_id ?? response.headers.get("X-Request-Id") ?? "",
  );
}

export interface CallOptions {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Set for sign-in itself, where 401 means a wrong password. */
  anonymous?: boolean;
}

/** Call the API and return the raw answer; throws ApiError. */
export async function call(path: string, options: CallOptions = {}): Promise<Response> {
  const { method = "GET", body, headers = {}, signal, anonymous = false } = options;
  const sent: Record<string, string> = { Accept: "application/json", ...headers };
  if (body !== undefined) sent["Content-Type"] = "application/json";
  if (method !== "GET" && csrfToken) sent["X-HyperCode-CSRF"] = csrfToken;
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers: sent,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "NETWORK", "The server does not answer.", "Check that HyperCode is running, then try again.", "");
  }
  if (response.ok) return response;
  if (response.status === 401 && !anonymous) onUnauthenticated();
  throw await errorOf(response);
}

/** Call the API and return its JSON. */
export async function callJson<T>(path: string, options: CallOptions = {}): Promise<T> {
  const response = await call(path, options);
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}
