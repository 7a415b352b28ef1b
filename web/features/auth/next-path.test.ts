import { describe, expect, it } from "vitest";
import { safeNext, setupTokenOf } from "./next-path";

describe("safeNext", () => {
  it("keeps paths of this site", () => {
    expect(safeNext("/task?id=tsk_1")).toBe("/task?id=tsk_1");
  });

  it.each([null, "", "https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/login?next=/"])("refuses %s", (next) => {
    expect(safeNext(next)).toBe("/");
  });
});

describe("setupTokenOf", () => {
  it.each([
    ["?token=abc", ""],
    ["", "#token=abc"],
    ["", "#?token=abc"],
  ])("reads %s%s", (search, hash) => {
    expect(setupTokenOf(search, hash)).toBe("abc");
  });

  it("is empty without one", () => {
    expect(setupTokenOf("", "")).toBe("");
  });
});
