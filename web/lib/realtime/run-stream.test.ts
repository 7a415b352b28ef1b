import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "../api/client";
import type { RunEvent } from "../api/events";
import { RunStream, type StreamWorld } from "./run-stream";
import type { SseMessage } from "./sse";

function event(seq: number): RunEvent {
  return { run_id: "run_1", seq, at: "2026-01-01T00:00:00Z", type: "environment.phase_changed", payload: { phase: "p", message: `${seq}` } };
}

function message(seq: number): SseMessage {
  return { id: `${seq}`, event: "environment.phase_changed", data: JSON.stringify(event(seq)) };
}

const signal = (name: string): SseMessage => ({ id: "", event: name, data: "{}" });
type Turn = (after: number, deliver: (messages: SseMessage[]) => void) => Promise<void>;

/** A server that answers each connection by the next turn; publishes at once. */
function world(turns: Turn[], asked: number[], stored: () => number[] = () => []): StreamWorld {
  return {
    read: async (_run, after, _signal, onOpen, onMessages) => {
      asked.push(after);
      const turn = turns.shift();
      if (!turn) throw new Error("connection refused");
      onOpen();
      await turn(after, onMessages);
    },
    page: (_run, after) => {
      const items = stored().filter((seq) => seq > after).slice(0, 3).map(event);
      return Promise.resolve({ items, next_after: items.length === 3 ? (items.at(-1)?.seq ?? null) : null });
    },
    schedule: (publish) => publish(),
    now: () => 1_000,
    random: () => 1,
  };
}

const collect = (state: number[], events: readonly RunEvent[]) => [...state, ...events.map((each) => each.seq)];

describe("RunStream", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("goes on from the last seq after a cut, without doubles", async () => {
    const asked: number[] = [];
    const cut: Turn = (_after, deliver) => {
      deliver([message(1), message(2)]);
      return Promise.reject(new Error("cut"));
    };
    const rest: Turn = (_after, deliver) => {
      deliver([message(2), message(3), signal("heartbeat"), signal("end")]);
      return Promise.resolve();
    };
    const stream = new RunStream("run_1", [], collect, world([cut, rest], asked));
    stream.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(stream.getSnapshot()).toMatchObject({ connection: "lost", lostAt: 1_000 });
    await vi.advanceTimersByTimeAsync(250);
    expect(stream.getSnapshot()).toMatchObject({ state: [1, 2, 3], connection: "ended", lostAt: null });
    expect(asked).toEqual([0, 2]);
  });

  it("waits longer after each failure, and not at all when poked", async () => {
    const asked: number[] = [];
    const stream = new RunStream("run_1", [], collect, world([], asked));
    stream.start();
    await vi.advanceTimersByTimeAsync(249);
    expect(asked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(499);
    expect(asked).toHaveLength(2);
    stream.poke();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toHaveLength(3);
    stream.stop();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(asked).toHaveLength(3);
  });

  it("takes a long history in pages and streams the rest", async () => {
    const asked: number[] = [];
    const rest: Turn = (_after, deliver) => {
      deliver([message(8), signal("end")]);
      return Promise.resolve();
    };
    const stream = new RunStream("run_1", [], collect, world([rest], asked, () => [1, 2, 3, 4, 5, 6, 7]));
    stream.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(stream.getSnapshot()).toMatchObject({ state: [1, 2, 3, 4, 5, 6, 7, 8], connection: "ended" });
    expect(asked).toEqual([7]);
  });

  it("asks for what a gap left out", async () => {
    let stored: number[] = [];
    const gapped: Turn = (_after, deliver) => {
      stored = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
      deliver([message(1), message(4)]);
      return new Promise(() => undefined);
    };
    const stream = new RunStream("run_1", [], collect, world([gapped], [], () => stored));
    stream.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(stream.getSnapshot().state).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    stream.stop();
  });

  it("shows what is being said until its turn is whole", async () => {
    const deliver: ((messages: SseMessage[]) => void)[] = [];
    const open: Turn = (_after, take) => {
      deliver.push(take);
      return new Promise(() => undefined);
    };
    const said = (at: number, text: string): SseMessage => ({ id: "", event: "delta", data: JSON.stringify({ type: "delta", turn: 1, attempt: "a", at, text }) });
    const turn = { ...event(2), type: "turn.completed", payload: { turn: 1 } };
    const stream = new RunStream("run_1", [], collect, world([open], []));
    stream.start();
    await vi.advanceTimersByTimeAsync(0);
    deliver[0]?.([message(1), said(0, "I th"), said(4, "ink")]);
    expect(stream.getSnapshot()).toMatchObject({ state: [1], lastSeq: 1, said: { turn: 1, text: "I think" } });
    deliver[0]?.([{ id: "2", event: "turn.completed", data: JSON.stringify(turn) }]);
    expect(stream.getSnapshot()).toMatchObject({ state: [1, 2], said: null });
    stream.stop();
  });

  it("does not ask again when the server refuses", async () => {
    const asked: number[] = [];
    const refuse: Turn = () => Promise.reject(new ApiError(404, "NOT_FOUND", "There is no such run.", "", "req_1"));
    const stream = new RunStream("run_1", [], collect, world([refuse], asked));
    stream.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stream.getSnapshot()).toMatchObject({ connection: "refused", error: { code: "NOT_FOUND" } });
    expect(asked).toHaveLength(1);
  });
});
