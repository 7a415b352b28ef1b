/** A model's words, which are mostly Markdown, taken apart for showing: paragraphs, points, code. Pure, and never HTML. */

export type Block = { kind: "text" | "point" | "heading"; text: string } | { kind: "code"; language: string; text: string };

export interface Span {
  kind: "plain" | "code" | "strong";
  text: string;
}

const FENCE = /^\s*```\s*([\w+-]*)\s*$/;
const POINT = /^\s*(?:[-*•])\s+/;
const HEADING = /^#{1,6}\s+/;
const SPAN = /`([^`\n]+)`|\*\*([^*\n]+)\*\*/g;

/** Lines to blocks. A fence that is never closed runs to the end. */
export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let code: { kind: "code"; language: string; text: string } | null = null;
  let fresh = true;
  for (const line of text.trim().split("\n")) {
    const fence = FENCE.exec(line);
    if (fence) {
      fresh = true;
      if (code) code = null;
      else blocks.push((code = { kind: "code", language: fence[1] ?? "", text: "" }));
    } else if (code) {
      code.text += code.text ? `\n${line}` : line;
    } else {
      fresh = addLine(blocks, line, fresh);
    }
  }
  return blocks;
}

/** Returns whether the next line begins a block of its own. */
function addLine(blocks: Block[], line: string, fresh: boolean): boolean {
  if (line.trim() === "") return true;
  if (HEADING.test(line)) {
    blocks.push({ kind: "heading", text: line.replace(HEADING, "") });
    return true;
  }
  const last = blocks.at(-1);
  if (POINT.test(line)) blocks.push({ kind: "point", text: line.replace(POINT, "") });
  else if (!fresh && last?.kind === "text") last.text += `\n${line}`;
  else if (!fresh && last?.kind === "point" && /^\s/.test(line)) last.text += ` ${line.trim()}`;
  else blocks.push({ kind: "text", text: line });
  return false;
}

/** The first blocks that fit; the first is always shown, cut if it is longer than all the room. */
export function clipped(blocks: readonly Block[], room: number): { blocks: Block[]; cut: boolean } {
  const shown: Block[] = [];
  let left = room;
  for (const block of blocks) {
    if (block.text.length > left) {
      if (shown.length === 0) shown.push({ ...block, text: `${block.text.slice(0, room)}…` });
      return { blocks: shown, cut: true };
    }
    left -= block.text.length;
    shown.push(block);
  }
  return { blocks: shown, cut: false };
}

/** Inline code and strong words of one paragraph. */
export function spansOf(text: string): Span[] {
  const spans: Span[] = [];
  let from = 0;
  for (const match of text.matchAll(SPAN)) {
    if (match.index > from) spans.push({ kind: "plain", text: text.slice(from, match.index) });
    spans.push(match[1] === undefined ? { kind: "strong", text: match[2] ?? "" } : { kind: "code", text: match[1] });
    from = match.index + match[0].length;
  }
  if (from < text.length) spans.push({ kind: "plain", text: text.slice(from) });
  return spans;
}
