import type { Preview, Touched } from "@/lib/api/types";
import { lineTone, touchedWords } from "../model/words";

/** The call as it is, to the letter; a long one scrolls. */
export function ExactCall({ preview, label }: { preview: Preview; label: string }) {
  return (
    // A scrolling region needs to be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre tabIndex={0} aria-label={label} className="max-h-72 overflow-auto rounded-lg border border-line bg-sunken px-3 py-2 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap">
      {preview.text.split("\n").map((line, index) => (
        <span key={index} className={lineTone(preview.kind, line)}>
          {line}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}

/** Which rule asks, and what the call touches. */
export function CallFacts({ tool, rule, touched }: { tool: string; rule: string; touched: Touched }) {
  return (
    <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-1 text-[0.8125rem]">
      <dt className="text-muted">Tool</dt>
      <dd className="font-mono text-xs leading-5">{tool}</dd>
      <dt className="text-muted">Rule</dt>
      <dd className="font-mono text-xs leading-5 break-all">{rule}</dd>
      {touchedWords(touched).map(([label, names]) => (
        <div key={label} className="contents">
          <dt className="text-muted">{label}</dt>
          <dd className="font-mono text-xs leading-5 break-all">{names.join(", ")}</dd>
        </div>
      ))}
    </dl>
  );
}
