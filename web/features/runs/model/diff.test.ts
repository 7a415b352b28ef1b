import { describe, expect, it } from "vitest";
import { parseDiff } from "./diff";

const DIFF = `diff --git a/shop/cart.py b/shop/cart.py
index 1111111..2222222 100644
--- a/shop/cart.py
+++ b/shop/cart.py
@@ -1,3 +1,4 @@ def total
 def total(items):
-    return sum(items) + 1
+    # --- a comment that looks like a header
+    return sum(items)
 
@@ -10 +11 @@
---- weird
++++ weird
\\ No newline at end of file
diff --git a/old name.txt b/new name.txt
similarity index 100%
rename from old name.txt
rename to new name.txt
diff --git a/logo.png b/logo.png
new file mode 100644
index 0000000..3333333
Binary files /dev/null and b/logo.png differ
diff --git "a/\\303\\244.txt" "b/\\303\\244.txt"
deleted file mode 100644
--- "a/\\303\\244.txt"
+++ /dev/null
@@ -1 +0,0 @@
-gone
`;

describe("parseDiff", () => {
  const files = parseDiff(DIFF);

  it("finds the files and what happened to them", () => {
    expect(files.map(({ path, oldPath, change, binary }) => ({ path, oldPath, change, binary }))).toEqual([
      { path: "shop/cart.py", oldPath: null, change: "changed", binary: false },
      { path: "new name.txt", oldPath: "old name.txt", change: "renamed", binary: false },
      { path: "logo.png", oldPath: null, change: "added", binary: true },
      { path: "ä.txt", oldPath: null, change: "deleted", binary: false },
    ]);
  });

  it("numbers lines on both sides", () => {
    expect(files[0]?.hunks[0]?.lines.map(({ kind, oldNumber, newNumber }) => [kind, oldNumber, newNumber])).toEqual([
      ["same", 1, 1],
      ["del", 2, null],
      ["add", null, 2],
      ["add", null, 3],
      ["same", 3, 4],
    ]);
  });

  it("takes lines that look like headers for what they are", () => {
    expect(files[0]?.hunks[1]?.lines).toEqual([
      { kind: "del", text: "--- weird", oldNumber: 10, newNumber: null },
      { kind: "add", text: "+++ weird", oldNumber: null, newNumber: 11 },
      { kind: "note", text: "No newline at end of file", oldNumber: null, newNumber: null },
    ]);
    expect(files[0]).toMatchObject({ insertions: 3, deletions: 2 });
  });

  it("lets a hunk with wrong counts not swallow the next file", () => {
    const short = "diff --git a/a b/a\n@@ -1,9 +1,9 @@\n-a\n+b\ndiff --git a/c b/c\n@@ -1 +1 @@\n-c\n+d\n";
    expect(parseDiff(short).map(({ path, insertions }) => [path, insertions])).toEqual([
      ["a", 1],
      ["c", 1],
    ]);
  });

  it("finds nothing in nothing", () => {
    expect(parseDiff("")).toEqual([]);
  });
});
