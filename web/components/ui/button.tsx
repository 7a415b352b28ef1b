import Link from "next/link";
import type { ButtonHTMLAttributes, ReactNode } from "react";
import { Icon, type IconName } from "./icon";

type Variant = "primary" | "secondary" | "quiet" | "danger";

const BASE =
  "inline-flex min-h-9 items-center justify-center gap-2 rounded-lg px-3.5 py-1.5 text-sm font-medium whitespace-nowrap transition-colors disabled:opacity-60";
const LOOK: Record<Variant, string> = {
  primary: "bg-accent text-on-accent enabled:hover:bg-accent-strong",
  secondary: "border border-line-strong/60 bg-card text-fg hover:bg-sunken",
  quiet: "text-fg hover:bg-sunken",
  danger: "border border-err bg-card text-err hover:bg-err-soft",
};

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  variant?: Variant;
  icon?: IconName;
  busy?: boolean;
}

/** A button; while busy it can't be pressed again and says so by a spinner beside its words. */
export function Button({ variant = "secondary", icon, busy = false, className = "", children, ...rest }: ButtonProps) {
  const shown = busy ? "spinner" : icon;
  return (
    <button type="button" {...rest} disabled={rest.disabled || busy} aria-busy={busy || undefined} className={`${BASE} ${LOOK[variant]} ${className}`}>
      {shown && <Icon name={shown} />}
      {children}
    </button>
  );
}

export function ButtonLink(props: { href: string; icon?: IconName; variant?: Variant; children: ReactNode }) {
  return (
    <Link href={props.href} className={`${BASE} ${LOOK[props.variant ?? "secondary"]} ${props.variant === "primary" ? "hover:bg-accent-strong" : ""}`}>
      {props.icon && <Icon name={props.icon} />}
      {props.children}
    </Link>
  );
}

/** A link to a stored file; the browser downloads it. */
export function DownloadLink({ href, name, children }: { href: string; name?: string; children: ReactNode }) {
  return (
    <a href={href} download={name ?? true} className={`${BASE} ${LOOK.secondary}`}>
      <Icon name="download" />
      {children}
    </a>
  );
}
