import { TONE_TEXT, type Tone } from "@/components/ui/chip";
import { Icon, type IconName } from "@/components/ui/icon";
import { formatCompact, formatCost, formatDuration, formatTime } from "@/lib/format/format";
import { briefArguments } from "../model/arguments";
import { blocksOf, clipped } from "../model/prose";
import type { AskRow, CallRow, NoteRow, PhasesRow, Row, TurnRow } from "../model/rows";
import { toolWords } from "../model/run-view";
import { Prose } from "./prose";

interface RowProps<R extends Row> {
  row: R;
  open: boolean;
  onToggle: () => void;
}

export function isBad(row: Row): boolean {
  return (row.kind === "call" && (row.state === "failed" || row.state === "uncertain")) || (row.kind === "note" && row.tone === "err");
}

/** Failed calls show their result from the start; everything else is one line until opened. */
export function startsOpen(row: Row): boolean {
  return row.kind === "call" && row.state === "failed";
}

export function TimelineRow(props: RowProps<Row>) {
  const { row, open, onToggle } = props;
  if (row.kind === "turn") return <Turn row={row} open={open} onToggle={onToggle} />;
  if (row.kind === "call") return <Call row={row} open={open} onToggle={onToggle} />;
  if (row.kind === "ask") return <Ask row={row} open={open} onToggle={onToggle} />;
  if (row.kind === "phases") return <Phases row={row} open={open} onToggle={onToggle} />;
  return <Note row={row} />;
}

function Note({ row }: { row: NoteRow }) {
  return (
    <div className="flex items-start gap-2.5 px-4 py-2 text-sm">
      <Icon name={row.icon} className={`mt-0.5 ${TONE_TEXT[row.tone]}`} />
      <div className="min-w-0 flex-1">
        <p className={row.tone === "err" ? "font-medium text-err" : ""}>{row.title}</p>
        {row.detail && <p className="text-[0.8125rem] break-words whitespace-pre-wrap text-muted">{row.detail}</p>}
      </div>
    </div>
  );
}

function Ask({ row, open, onToggle }: RowProps<AskRow>) {
  return (
    <div className="px-2 py-0.5 text-sm">
      <button type="button" aria-expanded={open} onClick={onToggle} className="flex min-h-8 w-full items-center gap-2 rounded-lg px-2 py-1 text-left hover:bg-sunken">
        <Icon name="chevron" className={`text-muted ${open ? "rotate-90" : ""}`} />
        <Icon name={row.icon} className={TONE_TEXT[row.tone]} />
        <span className="shrink-0 font-medium">{row.title}</span>
        <span className="min-w-0 flex-1 truncate font-mono text-xs text-muted">{row.text}</span>
      </button>
      {row.detail && <p className="ml-9 pr-2 text-[0.8125rem] break-words whitespace-pre-wrap text-muted">{row.detail}</p>}
      {open && (
        <div className="mt-1 mb-2 ml-9 pr-2">
          <Block label={`Asked ${formatTime(row.at)}`} text={row.text} />
        </div>
      )}
    </div>
  );
}

function Phases({ row, open, onToggle }: RowProps<PhasesRow>) {
  return (
    <div className="px-2 py-0.5 text-sm">
      <button type="button" aria-expanded={open} onClick={onToggle} className="flex min-h-8 w-full items-start gap-2.5 rounded-lg px-2 py-1.5 text-left hover:bg-sunken">
        <Icon name="chevron" className={`mt-0.5 text-muted ${open ? "rotate-90" : ""}`} />
        <span className="min-w-0 flex-1">
          {row.title}
          <span className="block truncate text-[0.8125rem] text-muted first-letter:uppercase">{row.lines.at(-1)}</span>
        </span>
      </button>
      {open && (
        <ol className="mb-1 ml-9 flex list-decimal flex-col gap-0.5 pl-4 text-[0.8125rem] text-muted">
          {row.lines.map((line, index) => (
            <li key={index} className="first-letter:uppercase">
              {line}
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}

const LONG_TEXT = 420;
/** Shorter than this is no model's time worth a word. */
const TELLING_MS = 100;

function Turn({ row, open, onToggle }: RowProps<TurnRow>) {
  // Of a long text that still grows the newest is shown, in the room that its beginning will take.
  const blocks = blocksOf(row.growing && row.text.length > LONG_TEXT ? `…${row.text.slice(-LONG_TEXT)}` : row.text);
  const { blocks: first, cut: long } = clipped(blocks, LONG_TEXT);
  const figures = [
    row.tokens > 0 ? `${formatCompact(row.tokens)} tokens` : "",
    row.costUsd > 0 ? formatCost(row.costUsd) : "",
    row.durationMs >= TELLING_MS ? formatDuration(row.durationMs / 1000) : "",
    row.growing ? "answering" : "",
  ];
  return (
    <div className="mt-1 border-t border-line px-4 pt-3 pb-1.5 text-sm">
      <div className="flex flex-wrap items-baseline justify-between gap-x-3">
        <h3 className="font-semibold">Turn {row.turn}</h3>
        <span className="text-[0.8125rem] text-muted">{figures.filter(Boolean).join(" · ")}</span>
      </div>
      {row.text && <Prose blocks={open ? blocks : first} />}
      {long && (
        <button type="button" aria-expanded={open} onClick={onToggle} className="mt-1 min-h-6 text-[0.8125rem] text-accent underline-offset-2 hover:underline">
          {open ? "Show less" : "Show all"}
        </button>
      )}
    </div>
  );
}

const STATE: Record<CallRow["state"], { icon: IconName; tone: Tone; words: string }> = {
  running: { icon: "spinner", tone: "accent", words: "running" },
  ok: { icon: "check", tone: "ok", words: "done" },
  failed: { icon: "xCircle", tone: "err", words: "failed" },
  stopped: { icon: "stop", tone: "neutral", words: "stopped" },
  uncertain: { icon: "alert", tone: "warn", words: "uncertain" },
};

function Call({ row, open, onToggle }: RowProps<CallRow>) {
  const state = STATE[row.state];
  const brief = row.state === "running" && row.progress ? row.progress : briefArguments(row.arguments);
  const bad = row.state === "failed" || row.state === "uncertain";
  return (
    <div className="px-2 py-0.5 text-sm">
      <button type="button" aria-expanded={open} onClick={onToggle} className="flex min-h-8 w-full items-center gap-2 rounded-lg px-2 py-1 text-left hover:bg-sunken">
        <Icon name="chevron" className={`text-muted ${open ? "rotate-90" : ""}`} />
        <Icon name={state.icon} className={TONE_TEXT[state.tone]} />
        <span className="sr-only">{state.words}: </span>
        <span className="shrink-0">{toolWords(row.tool)}</span>
        <span className="min-w-0 flex-1 truncate font-mono text-xs text-muted">{brief}</span>
        {row.durationMs !== null && <span className="shrink-0 text-xs text-muted tabular-nums">{formatDuration(row.durationMs / 1000)}</span>}
      </button>
      {row.summary && (bad || open) && <p className={`ml-9 pr-2 text-[0.8125rem] ${bad ? TONE_TEXT[state.tone] : "text-muted"}`}>{row.summary}</p>}
      {open && (
        <div className="mt-1 mb-2 ml-9 flex flex-col gap-2 pr-2">
          {row.arguments && <Block label={`${row.tool} was asked`} text={row.arguments} />}
          {row.result && <Block label={row.code ? `Result (${row.code})` : "Result"} text={row.result} />}
        </div>
      )}
    </div>
  );
}

function Block({ label, text }: { label: string; text: string }) {
  return (
    <figure>
      <figcaption className="mb-0.5 text-xs text-muted">{label}</figcaption>
      {/* A scrolling region needs to be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre tabIndex={0} className="max-h-72 overflow-auto rounded-lg bg-sunken px-3 py-2 font-mono text-xs leading-relaxed break-words whitespace-pre-wrap">{text}</pre>
    </figure>
  );
}
