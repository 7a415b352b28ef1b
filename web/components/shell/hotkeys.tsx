"use client";

import { useRouter } from "next/navigation";
import { useEffect, useState } from "react";
import { Dialog } from "@/components/ui/dialog";
import { Button } from "@/components/ui/button";
import { shortcutsOn, useShortcuts } from "@/lib/preferences";
import { matchShortcut, SHORTCUTS } from "./shortcuts";

const SEQUENCE_MS = 1200;
export const SHOW_HELP = "hypercode:help";

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Single letters and two-letter sequences; off in inputs, in dialogs, and where a person switched them off. */
export function Hotkeys() {
  const router = useRouter();
  const [helpOpen, setHelpOpen] = useState(false);
  const [enabled, setEnabled] = useShortcuts();

  useEffect(() => {
    let typed: string[] = [];
    let last = 0;
    function onKeyDown(event: KeyboardEvent) {
      const off = event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || !shortcutsOn();
      if (off || event.key.length !== 1 || document.querySelector("dialog[open]")) return;
      if (event.timeStamp - last > SEQUENCE_MS) typed = [];
      last = event.timeStamp;
      let match = matchShortcut([...typed, event.key]);
      typed = match ? [...typed, event.key] : [event.key];
      match ??= matchShortcut(typed);
      if (match === "partial") return;
      typed = [];
      if (!match) return;
      event.preventDefault();
      if (match.href) router.push(match.href);
      else setHelpOpen(true);
    }
    const show = () => setHelpOpen(true);
    window.addEventListener("keydown", onKeyDown);
    window.addEventListener(SHOW_HELP, show);
    return () => {
      window.removeEventListener("keydown", onKeyDown);
      window.removeEventListener(SHOW_HELP, show);
    };
  }, [router]);

  return (
    <Dialog open={helpOpen} title="Keyboard" onClose={() => setHelpOpen(false)}>
      <table className="w-full">
        <tbody>
          {SHORTCUTS.map((shortcut) => (
            <tr key={shortcut.words} className="border-b border-line last:border-0">
              <th scope="row" className="py-2 text-left font-normal">
                {shortcut.words}
              </th>
              <td className="py-2 text-right">
                {shortcut.keys.map((key) => (
                  <kbd key={key} className="ml-1 rounded border border-line-strong bg-sunken px-1.5 py-0.5 font-mono text-xs">
                    {key}
                  </kbd>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="text-muted">
        Tab and Enter work everywhere. Ctrl or ⌘ with Enter sends a task. Shortcuts are {enabled ? "on" : "off"}.
      </p>
      <div className="flex justify-end gap-2">
        <Button onClick={() => setEnabled(!enabled)}>{enabled ? "Switch shortcuts off" : "Switch shortcuts on"}</Button>
        <Button variant="primary" onClick={() => setHelpOpen(false)}>
          Close
        </Button>
      </div>
    </Dialog>
  );
}
