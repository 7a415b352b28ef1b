"use client";

import { useState } from "react";
import { Card, EmptyState } from "@/components/ui/card";
import { TONE_TEXT, type Tone } from "@/components/ui/chip";
import { Icon, type IconName } from "@/components/ui/icon";
import type { Payloads, Verdict } from "@/lib/api/events";
import { plural } from "@/lib/format/format";

const FIRST = 20;

/** What the frozen checks reported before and after the work. */
export function TestsTab({ verdict, checks }: { verdict: Verdict | null; checks: Payloads["checks.frozen"] | null }) {
  if (!checks && !verdict) {
    return <EmptyState title="No tests yet">The checks run on the untouched code first; what they report stands here.</EmptyState>;
  }
  return (
    <div className="flex flex-col gap-4">
      <Card>
        <table className="w-full text-sm">
          <caption className="sr-only">Tests before and after the work</caption>
          <thead>
            <tr className="text-left text-muted">
              <td />
              <th scope="col" className="pb-1.5 text-right font-normal">
                Passed
              </th>
              <th scope="col" className="pb-1.5 text-right font-normal">
                Failed
              </th>
            </tr>
          </thead>
          <tbody>
            <Counts label="Before (base)" passed={verdict?.base_passed ?? checks?.base_passed} failed={verdict?.base_failed ?? checks?.base_failed} />
            <Counts label="After (head)" passed={verdict?.head_passed} failed={verdict?.head_failed} />
          </tbody>
        </table>
      </Card>
      {verdict ? (
        <>
          <Group title="Newly failing" icon="xCircle" tone="err" ids={verdict.newly_failing} />
          <Group title="Still failing" icon="alert" tone="warn" ids={verdict.still_failing} />
          <Group title="Now passing" icon="checkCircle" tone="ok" ids={verdict.now_passing} />
        </>
      ) : (
        <Group title="Failing before the work" icon="alert" tone="warn" ids={checks?.base_red ?? []} />
      )}
      {checks && checks.checks.length > 0 && (
        <div className="text-sm">
          <h3 className="mb-1 font-medium">{checks.detected ? "Checks that HyperCode found" : "Checks you gave"}</h3>
          <ul className="flex flex-col gap-1">
            {checks.checks.map((check) => (
              <li key={check.argv.join(" ")} className="rounded-lg bg-sunken px-3 py-1.5 font-mono text-xs break-all">
                {check.argv.join(" ")}
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}

function Counts({ label, passed, failed }: { label: string; passed?: number; failed?: number }) {
  return (
    <tr className="border-t border-line tabular-nums">
      <th scope="row" className="py-1.5 text-left font-normal">
        {label}
      </th>
      <td className="py-1.5 text-right">{passed ?? "–"}</td>
      <td className="py-1.5 text-right">{failed ?? "–"}</td>
    </tr>
  );
}

function Group({ title, icon, tone, ids }: { title: string; icon: IconName; tone: Tone; ids: string[] }) {
  const [all, setAll] = useState(false);
  if (ids.length === 0) return null;
  const shown = all ? ids : ids.slice(0, FIRST);
  return (
    <section className="text-sm">
      <h3 className="mb-1.5 flex items-center gap-2 font-medium">
        <Icon name={icon} className={TONE_TEXT[tone]} />
        {title} ({ids.length})
      </h3>
      <ul className="divide-y divide-line overflow-hidden rounded-lg border border-line bg-card">
        {shown.map((id) => (
          <li key={id} className="px-3 py-1.5 font-mono text-xs break-all">
            {id}
          </li>
        ))}
      </ul>
      {ids.length > FIRST && (
        <button type="button" aria-expanded={all} onClick={() => setAll(!all)} className="mt-1 min-h-6 text-[0.8125rem] text-accent underline-offset-2 hover:underline">
          {all ? "Show fewer" : `Show all ${plural(ids.length, "test")}`}
        </button>
      )}
    </section>
  );
}
