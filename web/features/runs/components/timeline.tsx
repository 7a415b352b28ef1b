"use client";

import { useVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { SkeletonRows } from "@/components/ui/card";
import type { Row } from "../model/rows";
import { isBad, startsOpen, TimelineRow } from "./timeline-row";

interface Props {
  rows: readonly Row[];
  errors: number;
  live: boolean;
  loading: boolean;
}

const NEAR_END_PX = 24;

/** The run's story. Only the rows in sight are drawn; it follows the newest until a person scrolls away. */
export function Timeline({ rows, errors, live, loading }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const [toggled, setToggled] = useState<ReadonlySet<number>>(new Set());
  // The virtualizer's functions are not memoizable, which is fine: nothing here is memoized by them.
  // eslint-disable-next-line react-hooks/incompatible-library
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => 44,
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 12,
  });
  const total = virtual.getTotalSize();

  useLayoutEffect(() => {
    // Rows grow once they are measured, so the end is sought again whenever the whole height moves.
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [following, rows.length, total]);

  /** Only what a person does ends following; a row that grows does not. */
  function onUserScroll() {
    requestAnimationFrame(() => {
      const element = box.current;
      if (!element) return;
      setFollowing(element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX);
    });
  }

  function toggle(key: number) {
    setFollowing(false);
    setToggled((before) => {
      const after = new Set(before);
      if (!after.delete(key)) after.add(key);
      return after;
    });
  }

  function nextError() {
    const from = virtual.range?.startIndex ?? 0;
    const bad = rows.map((row, index) => (isBad(row) ? index : -1)).filter((index) => index >= 0);
    const target = bad.find((index) => index > from) ?? bad[0];
    if (target === undefined) return;
    setFollowing(false);
    virtual.scrollToIndex(target, { align: "start" });
  }

  return (
    <section aria-labelledby="activity" className="overflow-hidden rounded-xl border border-line bg-card">
      <div className="flex min-h-12 flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-1.5">
        <h2 id="activity" className="font-semibold">
          Activity
        </h2>
        <div className="flex gap-2">
          {errors > 0 && (
            <Button variant="quiet" icon="alert" onClick={nextError}>
              Next error ({errors})
            </Button>
          )}
          {!following && (
            <Button variant="quiet" onClick={() => setFollowing(true)}>
              {live ? "Follow" : "To the end"}
            </Button>
          )}
        </div>
      </div>
      {loading && (
        <div className="p-4">
          <SkeletonRows rows={3} label="Loading the activity" />
        </div>
      )}
      {/* A scrolling region needs to be reachable by keyboard, and a person's own scrolling is watched. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions */}
      <div ref={box} role="log" aria-live="off" aria-labelledby="activity" tabIndex={0} onWheel={onUserScroll} onTouchMove={onUserScroll} onKeyUp={onUserScroll} onPointerUp={onUserScroll} className="max-h-[60vh] overflow-y-auto overscroll-contain">
        <div className="relative w-full" style={{ height: total }}>
          {virtual.getVirtualItems().map((item) => {
            const row = rows[item.index];
            if (!row) return null;
            return (
              <div key={item.key} ref={virtual.measureElement} data-index={item.index} className="absolute top-0 left-0 w-full" style={{ transform: `translateY(${item.start}px)` }}>
                <TimelineRow row={row} open={startsOpen(row) !== toggled.has(row.key)} onToggle={() => toggle(row.key)} />
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}
