import type { ReactNode } from "react";
import { Icon, type IconName } from "./icon";

export type Tone = "neutral" | "accent" | "ok" | "warn" | "err";

const TONES: Record<Tone, string> = {
  neutral: "bg-sunken text-fg",
  accent: "bg-accent-soft text-accent",
  ok: "bg-ok-soft text-ok",
  warn: "bg-warn-soft text-warn",
  err: "bg-err-soft text-err",
};

export const TONE_TEXT: Record<Tone, string> = {
  neutral: "text-muted",
  accent: "text-accent",
  ok: "text-ok",
  warn: "text-warn",
  err: "text-err",
};

/** A state in words with an icon: colour only repeats what they say. */
export function Chip({ tone = "neutral", icon, title, children }: { tone?: Tone; icon?: IconName; title?: string; children: ReactNode }) {
  return (
    <span title={title} className={`inline-flex items-center gap-1.5 rounded-full px-2.5 py-0.5 text-[0.8125rem] font-medium whitespace-nowrap ${TONES[tone]}`}>
      {icon && <Icon name={icon} />}
      {children}
    </span>
  );
}

const NOTICE_ICON: Record<Tone, IconName> = { neutral: "info", accent: "info", ok: "checkCircle", warn: "alert", err: "xCircle" };

/** Something to know, with what to do about it. */
export function Notice({ tone = "neutral", title, icon, children, role }: { tone?: Tone; title?: ReactNode; icon?: IconName; children?: ReactNode; role?: "status" | "alert" }) {
  return (
    <div role={role} className={`flex items-start gap-2.5 rounded-lg px-3.5 py-2.5 text-sm ${TONES[tone]}`}>
      <Icon name={icon ?? NOTICE_ICON[tone]} className="mt-[0.2em]" />
      <div className="min-w-0 flex-1">
        {title && <p className="font-semibold">{title}</p>}
        {children && <div className="text-fg">{children}</div>}
      </div>
    </div>
  );
}
