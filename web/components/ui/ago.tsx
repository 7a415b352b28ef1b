"use client";

import { useNow } from "@/lib/clock";
import { formatAgo, formatTime } from "@/lib/format/format";

/** "5 minutes ago", with the exact time on hover and for machines. */
export function Ago({ at }: { at: string }) {
  const now = useNow();
  return (
    <time dateTime={at} title={now ? formatTime(at) : undefined}>
      {now ? formatAgo(at, now) : ""}
    </time>
  );
}
