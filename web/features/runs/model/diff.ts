/** Unified diffs as `git diff` writes them, taken apart for showing. Pure. */

export interface DiffLine {
  kind: "add" | "del" | "same" | "note";
  text: string;
  oldNumber: number | null;
  newNumber: number | null;
}

export interface DiffHunk {
  header: string;
  lines: DiffLine[];
}

export interface DiffFile {
  path: string;
  oldPath: string | null;
  change: "added" | "deleted" | "renamed" | "changed";
  binary: boolean;
  hunks: DiffHunk[];
  insertions: number;
  deletions: number;
}

const BODY = /^([ +\-\\]|$)/;
const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

interface Cursor {
  oldNumber: number;
  newNumber: number;
  oldLeft: number;
  newLeft: number;
}

/** Parse a whole diff. What it does not know it skips, so that a strange header never hides the rest. */
export function parseDiff(text: string): DiffFile[] {
  const files: DiffFile[] = [];
  let file: DiffFile | null = null;
  let hunk: DiffHunk | null = null;
  let at: Cursor = { oldNumber: 0, newNumber: 0, oldLeft: 0, newLeft: 0 };
  for (const line of text.split("\n")) {
    // Counts of a hunk that promise more than there is must not swallow the next file.
    if (file && hunk && (at.oldLeft > 0 || at.newLeft > 0) && BODY.test(line)) {
      addLine(file, hunk, at, line);
      continue;
    }
    if (line.startsWith("diff --git ")) {
      file = newFile(line);
      hunk = null;
      files.push(file);
      continue;
    }
    if (!file) continue;
    const start = HUNK.exec(line);
    if (start) {
      at = cursorOf(start);
      hunk = { header: line, lines: [] };
      file.hunks.push(hunk);
    } else if (hunk && line.startsWith("\\")) {
      hunk.lines.push({ kind: "note", text: line.slice(2), oldNumber: null, newNumber: null });
    } else {
      readHeader(file, line);
    }
  }
  return files;
}

function cursorOf(match: RegExpExecArray): Cursor {
  return {
    oldNumber: Number(match[1]),
    newNumber: Number(match[3]),
    oldLeft: match[2] === undefined ? 1 : Number(match[2]),
    newLeft: match[4] === undefined ? 1 : Number(match[4]),
  };
}

function newFile(line: string): DiffFile {
  const match = /^diff --git (?:"a\/(.*)"|a\/(.*)) (?:"b\/(.*)"|b\/(.*))$/.exec(line);
  const path = unquote(match?.[3]) ?? match?.[4] ?? line.slice("diff --git ".length);
  return { path, oldPath: null, change: "changed", binary: false, hunks: [], insertions: 0, deletions: 0 };
}

/** Git writes unusual names as C strings with octal bytes. */
function unquote(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const bytes: number[] = [];
  const parts = name.match(/\\[0-7]{3}|\\.|[^\\]/gu) ?? [];
  for (const part of parts) {
    if (/^\\[0-7]{3}$/.test(part)) bytes.push(Number.parseInt(part.slice(1), 8));
    else bytes.push(...new TextEncoder().encode(part.startsWith("\\") ? escaped(part[1] ?? "") : part));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}

function escaped(letter: string): string {
  return { n: "\n", t: "\t", r: "\r" }[letter] ?? letter;
}

function readHeader(file: DiffFile, line: string): void {
  if (line.startsWith("new file")) file.change = "added";
  else if (line.startsWith("deleted file")) file.change = "deleted";
  else if (line.startsWith("rename from ")) {
    file.change = "renamed";
    file.oldPath = line.slice("rename from ".length);
  } else if (line.startsWith("rename to ")) file.path = line.slice("rename to ".length);
  else if (line.startsWith("Binary files") || line.startsWith("GIT binary patch")) file.binary = true;
}

function addLine(file: DiffFile, hunk: DiffHunk, at: Cursor, line: string): void {
  const text = line.slice(1);
  if (line.startsWith("+")) {
    hunk.lines.push({ kind: "add", text, oldNumber: null, newNumber: at.newNumber });
    at.newNumber += 1;
    at.newLeft -= 1;
    file.insertions += 1;
  } else if (line.startsWith("-")) {
    hunk.lines.push({ kind: "del", text, oldNumber: at.oldNumber, newNumber: null });
    at.oldNumber += 1;
    at.oldLeft -= 1;
    file.deletions += 1;
  } else if (line.startsWith("\\")) {
    hunk.lines.push({ kind: "note", text: line.slice(2), oldNumber: null, newNumber: null });
  } else {
    hunk.lines.push({ kind: "same", text, oldNumber: at.oldNumber, newNumber: at.newNumber });
    at.oldNumber += 1;
    at.newNumber += 1;
    at.oldLeft -= 1;
    at.newLeft -= 1;
  }
}
