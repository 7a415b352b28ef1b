/** The log of one run's events: in order, without gaps or doubles, whatever order they arrive in. */

export interface Sequenced {
  seq: number;
}

export interface EventLog<E extends Sequenced> {
  /** Events 1..lastSeq, in order. */
  readonly events: readonly E[];
  readonly lastSeq: number;
  /** Events that came early and wait for the ones before them. */
  readonly early: ReadonlyMap<number, E>;
}

export function emptyLog<E extends Sequenced>(): EventLog<E> {
  return { events: [], lastSeq: 0, early: new Map() };
}

/** Add a batch; returns the same log when nothing in it was new. */
export function append<E extends Sequenced>(log: EventLog<E>, batch: readonly E[]): EventLog<E> {
  const fresh = batch.filter((event) => event.seq > log.lastSeq && !log.early.has(event.seq));
  if (fresh.length === 0) return log;
  const waiting = new Map(log.early);
  for (const event of fresh) waiting.set(event.seq, event);
  const added: E[] = [];
  let lastSeq = log.lastSeq;
  for (let next = waiting.get(lastSeq + 1); next; next = waiting.get(lastSeq + 1)) {
    added.push(next);
    lastSeq = next.seq;
    waiting.delete(lastSeq);
  }
  const events = added.length > 0 ? [...log.events, ...added] : log.events;
  return { events, lastSeq, early: waiting };
}

/** True when something is missing between what we have and what came. */
export function hasGap<E extends Sequenced>(log: EventLog<E>): boolean {
  return log.early.size > 0;
}
