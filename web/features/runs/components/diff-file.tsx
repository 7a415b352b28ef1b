"use client";

import { useState } from "react";
import { Chip } from "@/components/ui/chip";
import { Icon } from "@/components/ui/icon";
import type { DiffFile, DiffLine } from "../model/diff";

/** A file with more changed lines than this stays closed until a person opens it. */
const LARGE = 500;

const LINE: Record<DiffLine["kind"], { sign: string; look: string }> = {
  add: { sign: "+", look: "bg-ok-soft" },
  del: { sign: "−", look: "bg-err-soft" },
  same: { sign: " ", look: "" },
  note: { sign: " ", look: "text-muted italic" },
};
const CHANGE = { added: "New", deleted: "Deleted", renamed: "Renamed", changed: null } as const;

export function DiffFileView({ file }: { file: DiffFile }) {
  const large = file.insertions + file.deletions > LARGE;
  const [open, setOpen] = useState(!large && !file.binary);
  const change = CHANGE[file.change];
  return (
    <section aria-label={file.path} className="overflow-hidden rounded-xl border border-line bg-card">
      <h3>
        <button type="button" aria-expanded={open} onClick={() => setOpen(!open)} className="flex min-h-10 w-full items-center gap-2 px-3 py-1.5 text-left text-sm hover:bg-sunken">
          <Icon name="chevron" className={`text-muted ${open ? "rotate-90" : ""}`} />
          <span className="min-w-0 flex-1 font-mono text-[0.8125rem] break-all">
            {file.oldPath && <span className="text-muted">{file.oldPath} → </span>}
            {file.path}
          </span>
          {change && <Chip>{change}</Chip>}
          <span className="shrink-0 text-xs tabular-nums">
            <span className="text-ok">+{file.insertions}</span> <span className="text-err">−{file.deletions}</span>
          </span>
        </button>
      </h3>
      {!open && large && <p className="border-t border-line px-3 py-2 text-[0.8125rem] text-muted">Closed because it is large. Open it to see all lines.</p>}
      {file.binary && <p className="border-t border-line px-3 py-2 text-[0.8125rem] text-muted">A binary file; it can’t be shown as text.</p>}
      {open && file.hunks.length > 0 && <Lines file={file} />}
    </section>
  );
}

function Lines({ file }: { file: DiffFile }) {
  return (
    // A scrolling region needs to be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div tabIndex={0} role="group" aria-label={`Changes in ${file.path}`} className="overflow-x-auto border-t border-line">
      <table className="min-w-full border-collapse font-mono text-xs leading-5">
        <tbody>
          {file.hunks.flatMap((hunk, index) => [
            <tr key={`${index}`} className="bg-sunken text-muted">
              <td colSpan={3} className="px-3 py-0.5 whitespace-pre">
                {hunk.header}
              </td>
            </tr>,
            ...hunk.lines.map((line, number) => (
              <tr key={`${index}.${number}`} className={LINE[line.kind].look}>
                <td className="w-px px-2 text-right text-muted select-none">{line.oldNumber}</td>
                <td className="w-px px-2 text-right text-muted select-none">{line.newNumber}</td>
                <td className="pr-4 whitespace-pre">
                  <span className="inline-block w-4 text-center select-none">{LINE[line.kind].sign}</span>
                  {line.text}
                </td>
              </tr>
            )),
          ])}
        </tbody>
      </table>
    </div>
  );
}
