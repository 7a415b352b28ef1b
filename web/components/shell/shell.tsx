"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import type { ReactNode } from "react";
import { Icon, type IconName } from "@/components/ui/icon";
import { Hotkeys, SHOW_HELP } from "./hotkeys";
import { ThemeButton } from "./theme-switch";

const PLACES: { href: string; label: string; icon: IconName; also?: string }[] = [
  { href: "/", label: "New task", icon: "compose" },
  { href: "/tasks", label: "Tasks", icon: "list", also: "/task" },
  { href: "/approvals", label: "Approvals", icon: "shield" },
  { href: "/projects", label: "Projects", icon: "folder" },
  { href: "/settings", label: "Settings", icon: "gear" },
];

export function Brand() {
  return (
    <span className="inline-flex items-center gap-2 font-semibold tracking-tight">
      <svg aria-hidden="true" viewBox="0 0 32 32" className="size-6">
        <rect width="32" height="32" rx="7" className="fill-accent" />
        <path d="M10 8v16M22 8v16M10 16h12" className="stroke-on-accent" strokeWidth="3.4" strokeLinecap="round" />
      </svg>
      HyperCode
    </span>
  );
}

function Places({ badges }: { badges: Badges }) {
  const path = usePathname();
  return (
    <nav aria-label="Main" className="order-3 -mx-1 flex w-full gap-0.5 overflow-x-auto sm:order-none sm:w-auto">
      {PLACES.map((place) => {
        const here = path === place.href || path === place.also;
        return (
          <Link
            key={place.href}
            href={place.href}
            aria-current={here ? "page" : undefined}
            className={`inline-flex min-h-9 flex-1 items-center justify-center gap-1.5 rounded-lg px-1 text-sm min-[26rem]:px-2.5 sm:gap-2 font-medium whitespace-nowrap sm:flex-none sm:px-3 ${here ? "bg-accent-soft text-accent" : "text-muted hover:bg-sunken hover:text-fg"}`}
          >
            <Icon name={place.icon} className="hidden min-[26rem]:block" />
            {place.label}
            {badges[place.href]}
          </Link>
        );
      })}
    </nav>
  );
}

/** What stands beside the name of a place, by its address. */
type Badges = Partial<Record<string, ReactNode>>;

/** The frame of every page behind the sign-in: where you are, where you can go, and nothing else. */
export function Shell({ account, badges = {}, children }: { account: ReactNode; badges?: Badges; children: ReactNode }) {
  return (
    <>
      <a href="#content" className="sr-only z-50 rounded-lg bg-card px-4 py-2 text-accent focus:not-sr-only focus:fixed focus:top-2 focus:left-2">
        Skip to the content
      </a>
      <header className="border-b border-line bg-card">
        <div className="mx-auto flex max-w-7xl flex-wrap items-center gap-x-6 gap-y-1 px-4 py-2">
          <Link href="/" className="flex min-h-9 items-center rounded-lg">
            <Brand />
          </Link>
          <Places badges={badges} />
          <div className="ml-auto flex items-center gap-0.5">
            <button
              type="button"
              title="Keyboard help"
              aria-label="Keyboard help"
              onClick={() => window.dispatchEvent(new Event(SHOW_HELP))}
              className="inline-flex size-9 items-center justify-center rounded-lg text-muted hover:bg-sunken hover:text-fg"
            >
              <Icon name="help" />
            </button>
            <ThemeButton />
            {account}
          </div>
        </div>
      </header>
      <main id="content" tabIndex={-1} className="mx-auto max-w-7xl px-4 py-6 outline-none">
        {children}
      </main>
      <Hotkeys />
    </>
  );
}
