"use client";

import { Notice } from "@/components/ui/chip";
import { useNow } from "@/lib/clock";
import type { Connection } from "@/lib/realtime/run-stream";

const PATIENCE_MS = 3_000;

/** Says that the live view is behind, but only once that lasts; nothing that was loaded goes away. */
export function ConnectionBanner({ connection, lostAt }: { connection: Connection; lostAt: number | null }) {
  const now = useNow();
  const shown = connection === "lost" && lostAt !== null && now - lostAt > PATIENCE_MS;
  return (
    <div aria-live="polite" className="not-empty:mt-4">
      {shown && (
        <Notice tone="warn" icon="retry" title={`No connection since ${new Date(lostAt).toLocaleTimeString("en")}`}>
          The work goes on at the server. This page reconnects by itself and then shows what it missed.
        </Notice>
      )}
    </div>
  );
}
