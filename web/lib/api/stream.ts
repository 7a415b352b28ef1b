/** Server-sent events over fetch, so that status codes and heartbeats are seen (EventSource hides both). */
import { ApiError, call } from "./client";
import { SseParser, type SseMessage } from "../realtime/sse";

/** Silence longer than three heartbeats of 15 s means that the connection is dead. */
export const SILENCE_LIMIT_MS = 45_000;

/**
 * Read a run's events after a seq until the server closes the stream.
 * Throws ApiError for a refused stream, any other error for a broken one.
 */
export async function readRunEvents(
  runId: string,
  after: number,
  signal: AbortSignal,
  onOpen: () => void,
  onMessages: (messages: SseMessage[]) => void,
): Promise<void> {
  const headers = { Accept: "text/event-stream", "Last-Event-ID": String(after) };
  const response = await call(`/runs/${encodeURIComponent(runId)}/events?after=${after}`, { headers, signal });
  if (!response.body) throw new ApiError(0, "NETWORK", "The stream has no body.", "", "");
  onOpen();
  const parser = new SseParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await withSilenceLimit(reader);
    if (done) return;
    const messages = parser.push(value);
    if (messages.length > 0) onMessages(messages);
  }
}

async function withSilenceLimit<T>(reader: ReadableStreamDefaultReader<T>): Promise<ReadableStreamReadResult<T>> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error("no heartbeat"));
      void reader.cancel().catch(() => undefined);
    }, SILENCE_LIMIT_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
