/** The real world for a RunStream, and what wakes it up. */
import { listEvents } from "../api/endpoints";
import { readRunEvents } from "../api/stream";
import type { RunStream, StreamWorld } from "./run-stream";

const HIDDEN_PUBLISH_MS = 250;
const HIDDEN_CLOSE_MS = 5 * 60_000;

export const browserWorld: StreamWorld = {
  read: readRunEvents,
  page: listEvents,
  schedule: (publish) => {
    if (document.hidden) setTimeout(publish, HIDDEN_PUBLISH_MS);
    else requestAnimationFrame(publish);
  },
  now: () => Date.now(),
  random: Math.random,
};

/** Run a stream while the page is there; a tab hidden for long gives its connection back. */
export function runInBrowser<S>(stream: RunStream<S>): () => void {
  let hidden: ReturnType<typeof setTimeout> | undefined;
  const retry = () => stream.poke();
  const onVisibility = () => {
    clearTimeout(hidden);
    if (document.hidden) {
      hidden = setTimeout(() => stream.stop(), HIDDEN_CLOSE_MS);
    } else {
      stream.start();
      stream.poke();
    }
  };
  window.addEventListener("online", retry);
  window.addEventListener("pageshow", onVisibility);
  document.addEventListener("visibilitychange", onVisibility);
  stream.start();
  return () => {
    clearTimeout(hidden);
    window.removeEventListener("online", retry);
    window.removeEventListener("pageshow", onVisibility);
    document.removeEventListener("visibilitychange", onVisibility);
    stream.stop();
  };
}
