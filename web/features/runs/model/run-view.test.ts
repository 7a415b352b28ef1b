import { describe, expect, it } from "vitest";
import type { EventType, Payloads, RunEvent } from "@/lib/api/events";
import { EMPTY_VIEW, reduceRun } from "./run-view";

let seq = 0;

function event<T extends EventType>(type: T, payload: Payloads[T]): RunEvent {
  seq += 1;
  return { run_id: "run_1", seq, at: "2026-01-01T00:00:00Z", type, payload } as RunEvent;
}

const turn = (number: number) =>
  event("turn.completed", { turn: number, text: "I look.", tool_calls: ["fs_read"], model: "m", tokens_in: 10, tokens_out: 5, cost_usd: 0.5, duration_ms: 900 });
const asked = (call_id: string) => event("tool_call.requested", { call_id, turn: 1, tool: "fs_read", arguments: '{"path":"a.py"}' });
const answered = (call_id: string, ok: boolean) =>
  event("tool_call.completed", { call_id, tool: "fs_read", ok, code: ok ? "OK" : "NOT_FOUND", summary: "s", result: "r", duration_ms: 3 });

describe("reduceRun", () => {
  it("gives the same view for one batch and for single events", () => {
    const events = [turn(1), asked("a"), asked("b"), answered("b", false), answered("a", true), turn(2)];
    const single = events.reduce((view, each) => reduceRun(view, [each]), EMPTY_VIEW);
    expect(reduceRun(EMPTY_VIEW, events)).toEqual(single);
    expect(single).toMatchObject({ turns: 2, tokens: 30, costUsd: 1, errors: 1 });
  });

  it("folds a call to one row, whatever the order of the answers", () => {
    const view = reduceRun(EMPTY_VIEW, [asked("a"), asked("b"), answered("b", false), answered("a", true)]);
    expect(view.rows.map((row) => row.kind === "call" && [row.callId, row.state])).toEqual([
      ["a", "ok"],
      ["b", "failed"],
    ]);
  });

  it("lets no call run on after the end of the run", () => {
    const end = event("run.finished", { ...({} as Payloads["run.finished"]), status: "cancelled", turns: 1, tokens_in: 0, tokens_out: 0, cost: 0 });
    const view = reduceRun(EMPTY_VIEW, [asked("a"), answered("a", true), asked("b"), end]);
    expect(view.rows.map((row) => (row.kind === "call" ? row.state : row.kind))).toEqual(["ok", "stopped", "note"]);
  });

  it("changes no view that was given out", () => {
    const before = reduceRun(EMPTY_VIEW, [asked("a")]);
    const rows = [...before.rows];
    reduceRun(before, [answered("a", true)]);
    expect(before.rows).toEqual(rows);
  });

  it("folds phases that follow each other", () => {
    const phase = (message: string) => event("environment.phase_changed", { phase: "p", message });
    const view = reduceRun(reduceRun(EMPTY_VIEW, [phase("one"), phase("two")]), [phase("three")]);
    expect(view.rows).toHaveLength(1);
    expect(view.rows[0]).toMatchObject({ kind: "phases", lines: ["one", "two", "three"] });
    expect(view.step).toBe("three");
  });

  it("keeps an item's child run when a later event names none", () => {
    const view = reduceRun(EMPTY_VIEW, [
      event("plan_item.changed", { item_id: "one", status: "delegated", child_run_id: "run_2", detail: "" }),
      event("plan_item.changed", { item_id: "one", status: "merged", child_run_id: null, detail: "" }),
    ]);
    expect(view.planProgress.one).toEqual({ status: "merged", childRunId: "run_2", detail: "" });
  });

  it("keeps what waits for a person until somebody has spoken, and says who did", () => {
    const touched = { paths: [], argv: ["rm"], image: null, hosts: [], ref: null, secrets: [], size: null };
    const ask = event("approval.requested", { approval_id: "apr_1", call_id: "c", tool: "sh_exec", preview: { kind: "command", text: "rm x" }, rule: "r", reason: "", touched, expires_at: "2026-01-02T00:00:00Z" });
    const question = event("question.asked", { question_id: "qst_1", question: "Which?", options: [], expires_at: "2026-01-02T00:00:00Z" });
    const waiting = reduceRun(EMPTY_VIEW, [ask, question]);
    expect(waiting.asks).toEqual([ask, question]);
    const said = reduceRun(waiting, [
      event("approval.decided", { approval_id: "apr_1", call_id: "c", state: "approved", scope: "task", by: "Ada", note: "ok" }),
      event("question.answered", { question_id: "qst_1", state: "expired", answer: null, by: null }),
    ]);
    expect(said.asks).toEqual([]);
    expect(said.rows.map((row) => row.kind === "ask" && [row.title, row.text, row.detail])).toEqual([
      ["Approved for this task by Ada", "rm x", "ok"],
      ["Nobody answered in time", "Which?", ""],
    ]);
  });

  it("folds ten thousand events fast enough to open an old run", () => {
    const events: RunEvent[] = [];
    for (let index = 0; index < 5_000; index += 1) events.push(asked(`c${index}`), answered(`c${index}`, true));
    const start = performance.now();
    expect(reduceRun(EMPTY_VIEW, events).rows).toHaveLength(5_000);
    expect(performance.now() - start).toBeLessThan(500);
  });
});
