import { expect, test } from "vitest";
import { blocksOf, clipped, spansOf } from "./prose";

test("paragraphs, points, headings and code stand apart", () => {
  const text = "Found it:\n- In `a.py`, line 2\n  and 3.\n- Then.\nDone.\n\n## Why\n```diff\n@@ -1 +1 @@\n-a\n\n+b\n```\nEnd.";
  expect(blocksOf(text)).toEqual([
    { kind: "text", text: "Found it:" },
    { kind: "point", text: "In `a.py`, line 2 and 3." },
    { kind: "point", text: "Then." },
    { kind: "text", text: "Done." },
    { kind: "heading", text: "Why" },
    { kind: "code", language: "diff", text: "@@ -1 +1 @@\n-a\n\n+b" },
    { kind: "text", text: "End." },
  ]);
});

test("an open fence hides nothing", () => {
  expect(blocksOf("```\na\nb")).toEqual([{ kind: "code", language: "", text: "a\nb" }]);
});

test("what is too long is cut between blocks, never inside code", () => {
  const blocks = blocksOf("One.\n```\n0123456789\n```");
  expect(clipped(blocks, 6)).toEqual({ blocks: [blocks[0]], cut: true });
  expect(clipped(blocks, 20)).toEqual({ blocks, cut: false });
  expect(clipped(blocksOf("0123456789"), 4).blocks).toEqual([{ kind: "text", text: "0123…" }]);
});

test("marks inside a line", () => {
  expect(spansOf("use `>` **not** 2 * 3")).toEqual([
    { kind: "plain", text: "use " },
    { kind: "code", text: ">" },
    { kind: "plain", text: " " },
    { kind: "strong", text: "not" },
    { kind: "plain", text: " 2 * 3" },
  ]);
});
