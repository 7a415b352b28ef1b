/** All keyboard shortcuts in one list: the `?` help and the handler share it. */
export interface Shortcut {
  keys: string[];
  words: string;
  href?: string;
}

export const SHORTCUTS: Shortcut[] = [
  { keys: ["g", "h"], words: "New task", href: "/" },
  { keys: ["g", "t"], words: "All tasks", href: "/tasks" },
  { keys: ["g", "a"], words: "Approvals", href: "/approvals" },
  { keys: ["g", "p"], words: "Projects", href: "/projects" },
  { keys: ["g", "s"], words: "Settings", href: "/settings" },
  { keys: ["?"], words: "Show this help" },
];

/** Match what was typed so far; "partial" means that another letter may follow. */
export function matchShortcut(typed: string[]): Shortcut | "partial" | null {
  const starts = SHORTCUTS.filter((each) => typed.every((key, index) => each.keys[index] === key));
  const whole = starts.find((each) => each.keys.length === typed.length);
  if (whole) return whole;
  return starts.length > 0 ? "partial" : null;
}
