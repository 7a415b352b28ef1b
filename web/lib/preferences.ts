/** What a person chose on this device: theme and keyboard. Kept in localStorage, shared between tabs. */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const THEME = "hypercode-theme";
const SHORTCUTS = "hypercode-shortcuts";
const listeners = new Set<() => void>();

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Private windows may refuse; the choice then lasts until the next page.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  window.addEventListener("storage", listener);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", listener);
  };
}

function currentTheme(): Theme {
  const stored = read(THEME);
  return stored === "light" || stored === "dark" ? stored : "system";
}

/** Put the chosen theme on the page; system follows the machine. */
export function applyTheme(): void {
  const theme = currentTheme();
  const dark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const theme = useSyncExternalStore(subscribe, currentTheme, () => "system" as const);
  const choose = (next: Theme) => {
    write(THEME, next);
    applyTheme();
  };
  return [theme, choose];
}

/** Whether single-letter shortcuts work (WCAG 2.1.4: people can switch them off). */
export function shortcutsOn(): boolean {
  return read(SHORTCUTS) !== "off";
}

export function useShortcuts(): [boolean, (on: boolean) => void] {
  const on = useSyncExternalStore(subscribe, shortcutsOn, () => true);
  return [on, (next) => write(SHORTCUTS, next ? "on" : "off")];
}
