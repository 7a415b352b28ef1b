import { describe, expect, it } from "vitest";
import { backoffMs } from "./backoff";

describe("backoffMs", () => {
  it("doubles from a quarter of a second to fifteen seconds", () => {
    const longest = [0, 1, 2, 3, 6, 7, 50].map((attempt) => backoffMs(attempt, () => 1));
    expect(longest).toEqual([250, 500, 1000, 2000, 15_000, 15_000, 15_000]);
  });

  it("takes up to half of it off by chance", () => {
    expect(backoffMs(0, () => 0)).toBe(125);
    expect(backoffMs(9, () => 0)).toBe(7_500);
  });
});
