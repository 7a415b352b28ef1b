import { describe, expect, it } from "vitest";
import { checksOf, EMPTY_DRAFT, newIdempotencyKey, requestOf } from "./draft";

describe("requestOf", () => {
  it("leaves out what was not chosen, so that the server's defaults hold", () => {
    expect(requestOf({ ...EMPTY_DRAFT, projectId: "prj_1", prompt: "  fix it \n" })).toEqual({
      project_id: "prj_1",
      prompt: "fix it",
      routing: "auto",
      checks: [],
      include_dirty: false,
    });
  });

  it("sends the model and the turns that were chosen", () => {
    expect(requestOf({ ...EMPTY_DRAFT, model: "builtin/repair", maxTurns: "12" })).toMatchObject({ model: "builtin/repair", budget: { max_turns: 12 } });
  });
});

describe("checksOf", () => {
  it("takes one command a line", () => {
    expect(checksOf(" python -m pytest \n\n ruff check ")).toEqual(["python -m pytest", "ruff check"]);
  });
});

describe("newIdempotencyKey", () => {
  it("is long and never twice the same", () => {
    expect(newIdempotencyKey()).toMatch(/^[0-9a-f]{32}$/);
    expect(newIdempotencyKey()).not.toBe(newIdempotencyKey());
  });
});
