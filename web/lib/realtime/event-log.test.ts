import { describe, expect, it } from "vitest";
import { append, emptyLog, hasGap } from "./event-log";

const event = (seq: number) => ({ seq });
const seqs = (events: readonly { seq: number }[]) => events.map((each) => each.seq);

describe("append", () => {
  it("drops doubles and gives the same log back when nothing is new", () => {
    const log = append(emptyLog(), [event(1), event(2), event(2)]);
    expect(seqs(log.events)).toEqual([1, 2]);
    expect(append(log, [event(1), event(2)])).toBe(log);
  });

  it("holds early events back until the gap is filled", () => {
    const gapped = append(emptyLog(), [event(1), event(4), event(3)]);
    expect(seqs(gapped.events)).toEqual([1]);
    expect(hasGap(gapped)).toBe(true);
    const whole = append(gapped, [event(2)]);
    expect(seqs(whole.events)).toEqual([1, 2, 3, 4]);
    expect(hasGap(whole)).toBe(false);
  });

  it("ends in order for any order of arrival", () => {
    const arrivals = [7, 3, 1, 2, 9, 8, 4, 6, 5, 10, 1, 7];
    const log = arrivals.reduce((before, seq) => append(before, [event(seq)]), emptyLog<{ seq: number }>());
    expect(seqs(log.events)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });
});
