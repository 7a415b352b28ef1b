/** The one place that talks HTTP: same origin, cookie sign-in, CSRF header, problem+json errors. */
import createClient, { type Middleware } from "openapi-fetch";
import type { paths } from "./schema";
import type { Problem } from "./types";

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

/** Where 401 means wrong words, not a lost sign-in. */
const ANONYMOUS = new Set(["/api/v1/login", "/api/v1/setup"]);

let csrfToken = "";
let onUnauthenticated: () => void = () => undefined;

export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** The app says here what a lost sign-in leads to. */
export function setUnauthenticatedHandler(handler: () => void): void {
  onUnauthenticated = handler;
}

async function errorOf(response: Response): Promise<ApiError> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  return new ApiError(
    response.status,
    problem.code ?? "UNEXPECTED",
    problem.detail ?? problem.title ?? `The server answered ${response.status}.`,
    problem.hint ?? "",
    problem.request_id ?? response.headers.get("X-Request-Id") ?? "",
  );
}

function unreachable(cause: unknown): Error {
  if (cause instanceof DOMException && cause.name === "AbortError") return cause;
  return new ApiError(0, "NETWORK", "The server does not answer.", "Check that HyperCode is running, then try again.", "");
}

const house: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && csrfToken) request.headers.set("X-HyperCode-CSRF", csrfToken);
    return request;
  },
  async onResponse({ response, schemaPath }) {
    if (response.ok) return undefined;
    if (response.status === 401 && !ANONYMOUS.has(schemaPath)) onUnauthenticated();
    throw await errorOf(response);
  },
  onError: ({ error }) => unreachable(error),
};

export const client = createClient<paths>({ credentials: "same-origin", cache: "no-store" });
client.use(house);

/** The data of a call; what is not 2xx has been thrown as an ApiError by then. */
export async function dataOf<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T;
}

/** Open a stream of server-sent events; throws ApiError when it is refused. */
export async function openEventStream(path: string, lastEventId: number, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const headers = { Accept: "text/event-stream", "Last-Event-ID": String(lastEventId) };
  const response = await fetch(path, { headers, signal, credentials: "same-origin", cache: "no-store" }).catch((cause: unknown) => {
    throw unreachable(cause);
  });
  if (response.status === 401) onUnauthenticated();
  if (!response.ok || !response.body) throw await errorOf(response);
  return response.body;
}
