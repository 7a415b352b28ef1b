import { describe, expect, it } from "vitest";
import { matchShortcut, SHORTCUTS } from "./shortcuts";

describe("matchShortcut", () => {
  it("waits for the second letter of a sequence", () => {
    expect(matchShortcut(["g"])).toBe("partial");
    expect(matchShortcut(["g", "t"])).toMatchObject({ href: "/tasks" });
    expect(matchShortcut(["x"])).toBeNull();
  });

  it("knows no two shortcuts with the same keys", () => {
    expect(new Set(SHORTCUTS.map((each) => each.keys.join(" "))).size).toBe(SHORTCUTS.length);
  });
});
