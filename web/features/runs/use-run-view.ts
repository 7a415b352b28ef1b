"use client";

import { useEffect, useMemo, useSyncExternalStore } from "react";
import { browserWorld, runInBrowser } from "@/lib/realtime/browser-world";
import { RunStream, type StreamSnapshot } from "@/lib/realtime/run-stream";
import { EMPTY_VIEW, reduceRun, type RunView } from "./model/run-view";

/** A run as its events tell it, live. */
export function useRunView(runId: string): StreamSnapshot<RunView> {
  const stream = useMemo(() => new RunStream(runId, EMPTY_VIEW, reduceRun, browserWorld), [runId]);
  useEffect(() => runInBrowser(stream), [stream]);
  return useSyncExternalStore(stream.subscribe, stream.getSnapshot, stream.getSnapshot);
}
