/** Server-sent events over fetch, so that status codes and heartbeats are seen (EventSource hides both). */
import { openEventStream } from "./client";
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
  const body = await openEventStream(`/api/v1/runs/${encodeURIComponent(runId)}/events?after=${after}`, after, signal);
  onOpen();
  const parser = new SseParser();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await withSilenceLimit(reader);
    if (done) return;
    const messages = parser.push(decoder.decode(value, { stream: true }));
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
