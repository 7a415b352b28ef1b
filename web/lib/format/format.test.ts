import { describe, expect, it } from "vitest";
import { firstLine, formatAgo, formatClock, formatCompact, formatCost, formatDuration, nameOfSource, plural } from "./format";

describe("formats", () => {
  it("says durations as people do", () => {
    expect([0.0123, 1.25, 42, 125, 3725].map(formatDuration)).toEqual(["12 ms", "1.3 s", "42 s", "2 min 5 s", "1 h 2 min"]);
    expect([7, 750, 3725].map(formatClock)).toEqual(["0:07", "12:30", "1:02:05"]);
  });

  it("says numbers shortly", () => {
    expect([999, 12_345, 123_456, 2_500_000].map(formatCompact)).toEqual(["999", "12.3k", "123k", "2.5M"]);
    expect([0, 0.001, 1.5].map(formatCost)).toEqual(["$0.00", "< $0.01", "$1.50"]);
    expect([plural(1, "file"), plural(2, "file")]).toEqual(["1 file", "2 files"]);
  });

  it("says how long ago", () => {
    const now = Date.parse("2026-01-02T00:00:00Z");
    expect(formatAgo("2026-01-01T23:59:50Z", now)).toBe("just now");
    expect(formatAgo("2026-01-01T23:55:00Z", now)).toBe("5 minutes ago");
    expect(formatAgo("2026-01-01T00:00:00Z", now)).toBe("yesterday");
  });

  it("names things", () => {
    expect(firstLine("\n Fix it\nplease")).toBe("Fix it");
    expect(["/home/me/shop/", "https://host/a/shop.git", "git@host:shop.git"].map(nameOfSource)).toEqual(["shop", "shop", "shop"]);
  });
});
