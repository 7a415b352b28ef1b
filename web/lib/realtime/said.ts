/** What the model is saying right now, from deltas that may get lost. The turn's event holds the whole. */
import type { RunEvent } from "../api/events";

export interface Delta {
  turn: number;
  /** Names one try of the model call: with another one, what was said before is void. */
  attempt: string;
  /** Where the text begins, in code points. */
  at: number;
  text: string;
}

export interface Said {
  turn: number;
  attempt: string;
  text: string;
  /** Where the next piece begins. */
  end: number;
}

const LOST = "… ";

export function hear(said: Said | null, delta: Delta): Said {
  const { turn, attempt, at, text } = delta;
  const end = at + [...text].length;
  if (said?.attempt === attempt && at >= said.end) return { turn, attempt, text: said.text + (at > said.end ? LOST : "") + text, end };
  // Another try, or all of it again after the connection was lost.
  return { turn, attempt, text: (at > 0 ? LOST : "") + text, end };
}

/** Events that leave nothing of it: the turn is whole, or the run is over. */
export function isSaid(events: readonly RunEvent[]): boolean {
  return events.some((event) => event.type === "turn.completed" || event.type === "run.finished");
}
