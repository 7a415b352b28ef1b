import type { Block } from "../model/prose";
import { spansOf } from "../model/prose";

/** What a model said, as blocks. Its words are data: nothing of them becomes markup. */
export function Prose({ blocks }: { blocks: readonly Block[] }) {
  return (
    <div className="mt-1 flex flex-col gap-1.5 leading-relaxed break-words">
      {blocks.map((block, index) => (
        <Piece key={index} block={block} />
      ))}
    </div>
  );
}

function Piece({ block }: { block: Block }) {
  if (block.kind === "code") return <Code text={block.text} diff={block.language === "diff"} />;
  if (block.kind === "heading") {
    return (
      <p className="font-semibold">
        <Spans text={block.text} />
      </p>
    );
  }
  if (block.kind === "point") {
    return (
      <p className="relative pl-4 before:absolute before:left-1 before:text-muted before:content-['•']">
        <Spans text={block.text} />
      </p>
    );
  }
  return (
    <p className="whitespace-pre-wrap">
      <Spans text={block.text} />
    </p>
  );
}

function Spans({ text }: { text: string }) {
  return spansOf(text).map((span, index) => {
    if (span.kind === "strong") return <strong key={index}>{span.text}</strong>;
    if (span.kind === "plain") return span.text;
    return (
      <code key={index} className="rounded bg-sunken px-1 py-px font-mono text-[0.8125rem]">
        {span.text}
      </code>
    );
  });
}

function lookOf(line: string, diff: boolean): string {
  if (diff && line.startsWith("+")) return "bg-ok-soft";
  if (diff && line.startsWith("-")) return "bg-err-soft";
  return diff && line.startsWith("@@") ? "text-muted" : "";
}

function Code({ text, diff }: { text: string; diff: boolean }) {
  return (
    // A scrolling region needs to be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre tabIndex={0} className="my-0.5 max-h-72 overflow-auto rounded-lg bg-sunken py-2 font-mono text-xs leading-relaxed">
      <code className="block w-max min-w-full">
        {text.split("\n").map((line, index) => (
          <span key={index} className={`block min-h-[1lh] px-3 ${lookOf(line, diff)}`}>
            {line}
          </span>
        ))}
      </code>
    </pre>
  );
}
