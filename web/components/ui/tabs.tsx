"use client";

import { useId, useRef, type KeyboardEvent, type ReactNode } from "react";
import { Icon, type IconName } from "./icon";

export interface Tab<T extends string> {
  id: T;
  label: string;
  icon?: IconName;
  count?: number | null;
  panel: ReactNode;
}

/** Tabs by the ARIA pattern: arrow keys move, one panel shows. */
export function Tabs<T extends string>({ label, tabs, value, onChange }: { label: string; tabs: Tab<T>[]; value: T; onChange: (id: T) => void }) {
  const base = useId();
  const list = useRef<HTMLDivElement>(null);
  const shown = tabs.find((tab) => tab.id === value) ?? tabs[0];

  function onKeyDown(event: KeyboardEvent) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const index = tabs.findIndex((tab) => tab.id === shown?.id);
    const target = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : step && (index + step + tabs.length) % tabs.length;
    const next = target === undefined ? undefined : tabs[target];
    if (!next) return;
    event.preventDefault();
    onChange(next.id);
    list.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  }

  if (!shown) return null;
  return (
    <div className="min-w-0">
      <div ref={list} role="tablist" tabIndex={-1} aria-label={label} onKeyDown={onKeyDown} className="flex overflow-x-auto border-b border-line p-0.5">
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            data-tab={tab.id}
            id={`${base}-tab-${tab.id}`}
            aria-selected={tab.id === shown.id}
            aria-controls={`${base}-panel-${tab.id}`}
            tabIndex={tab.id === shown.id ? 0 : -1}
            onClick={() => onChange(tab.id)}
            className={`-mb-[3px] inline-flex min-h-10 items-center gap-1.5 border-b-2 px-2 text-sm sm:px-3 font-medium whitespace-nowrap ${tab.id === shown.id ? "border-accent text-fg" : "border-transparent text-muted hover:text-fg"}`}
          >
            {tab.icon && <Icon name={tab.icon} className="hidden sm:block" />}
            {tab.label}
            {typeof tab.count === "number" && <span className="rounded-full bg-sunken px-1.5 text-xs text-fg">{tab.count}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${base}-panel-${shown.id}`} aria-labelledby={`${base}-tab-${shown.id}`} className="pt-4">
        {shown.panel}
      </div>
    </div>
  );
}
