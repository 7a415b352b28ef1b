/** One run's live events as an external store: own retry, no gaps, one publish for each frame. */
import { ApiError } from "../api/client";
import type { RunEvent } from "../api/events";
import type { EventPage } from "../api/types";
import { backoffMs } from "./backoff";
import { append, emptyLog, hasGap, type EventLog } from "./event-log";
import { hear, isSaid, type Delta, type Said } from "./said";
import type { SseMessage } from "./sse";

export type Connection = "connecting" | "live" | "lost" | "ended" | "refused";

export interface StreamSnapshot<S> {
  state: S;
  lastSeq: number;
  /** What the model is saying right now; null when it says nothing. */
  said: Said | null;
  connection: Connection;
  /** When the connection was lost, in milliseconds; null while it stands. */
  lostAt: number | null;
  error: ApiError | null;
}

/** What the stream needs from the world; tests give their own. */
export interface StreamWorld {
  read: (
    runId: string,
    after: number,
    signal: AbortSignal,
    onOpen: () => void,
    onMessages: (messages: SseMessage[]) => void,
  ) => Promise<void>;
  page: (runId: string, after: number, signal: AbortSignal) => Promise<EventPage>;
  schedule: (publish: () => void) => void;
  now: () => number;
  random: () => number;
}

export type Fold<S> = (state: S, events: readonly RunEvent[]) => S;

export class RunStream<S> {
  private log: EventLog<RunEvent> = emptyLog();
  private snapshot: StreamSnapshot<S>;
  private draft: StreamSnapshot<S>;
  private listeners = new Set<() => void>();
  private abort: AbortController | null = null;
  private wake: (() => void) | null = null;
  private scheduled = false;
  private unfolded: RunEvent[] = [];
  private refetching = false;

  constructor(
    private readonly runId: string,
    initial: S,
    private readonly fold: Fold<S>,
    private readonly world: StreamWorld,
  ) {
    this.snapshot = { state: initial, lastSeq: 0, said: null, connection: "connecting", lostAt: null, error: null };
    this.draft = this.snapshot;
  }

  readonly getSnapshot = (): StreamSnapshot<S> => this.snapshot;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Connect and stay connected; returns at once, and does nothing where there is nothing more to come. */
  start(): void {
    if (this.abort || this.draft.connection === "ended" || this.draft.connection === "refused") return;
    const abort = new AbortController();
    this.abort = abort;
    void this.stayConnected(abort.signal);
  }

  stop(): void {
    this.abort?.abort();
    this.abort = null;
    this.wake?.();
  }

  /** Retry now rather than at the end of the wait: the network or the tab came back. */
  poke(): void {
    this.wake?.();
  }

  private async stayConnected(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      try {
        await this.catchUp(signal);
        await this.world.read(
          this.runId,
          this.log.lastSeq,
          signal,
          () => this.change({ connection: "live", lostAt: null }),
          (messages) => {
            attempt = -1;
            this.take(messages, signal);
          },
        );
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) {
          this.change({ connection: "refused", error });
          return;
        }
      }
      if (this.draft.connection === "ended" || signal.aborted) return;
      this.change({ said: null, connection: "lost", lostAt: this.draft.lostAt ?? this.world.now() });
      await this.pause(backoffMs(Math.max(attempt, 0), this.world.random));
    }
  }

  private take(messages: SseMessage[], signal: AbortSignal): void {
    const events: RunEvent[] = [];
    let ended = false;
    for (const message of messages) {
      // After a reset the server closes; the next connection goes on from the last seq.
      if (message.event === "heartbeat" || message.event === "reset") continue;
      if (message.event === "end") ended = true;
      else if (message.event === "delta") this.hear(events.splice(0), JSON.parse(message.data) as Delta);
      else events.push(JSON.parse(message.data) as RunEvent);
    }
    this.add(events);
    if (ended) this.change({ connection: "ended", lostAt: null });
    if (hasGap(this.log)) void this.fillGap(signal);
  }

  private hear(events: RunEvent[], delta: Delta): void {
    this.add(events);
    this.change({ said: hear(this.draft.said, delta) });
  }

  private add(events: RunEvent[]): void {
    const before = this.log;
    this.log = append(before, events);
    if (this.log.lastSeq === before.lastSeq) return;
    this.unfolded.push(...this.log.events.slice(before.events.length));
    this.change({ lastSeq: this.log.lastSeq, ...(isSaid(events) ? { said: null } : {}) });
  }

  /** A long history comes much faster in pages than as a stream. */
  private async catchUp(signal: AbortSignal): Promise<void> {
    for (let more = true; more; ) {
      const before = this.log.lastSeq;
      const page = await this.world.page(this.runId, before, signal);
      this.add(page.items);
      more = page.next_after !== null && this.log.lastSeq > before;
    }
  }

  private async fillGap(signal: AbortSignal): Promise<void> {
    if (this.refetching) return;
    this.refetching = true;
    try {
      await this.catchUp(signal);
    } catch {
      // The next message or the next connection tries again.
    } finally {
      this.refetching = false;
    }
  }

  private change(part: Partial<StreamSnapshot<S>>): void {
    this.draft = { ...this.draft, ...part };
    if (this.scheduled) return;
    this.scheduled = true;
    this.world.schedule(() => {
      this.scheduled = false;
      const events = this.unfolded;
      this.unfolded = [];
      if (events.length > 0) this.draft = { ...this.draft, state: this.fold(this.draft.state, events) };
      this.snapshot = this.draft;
      for (const listener of this.listeners) listener();
    });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
      this.wake = done;
    });
  }
}
