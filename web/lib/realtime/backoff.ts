const FIRST_MS = 250;
const LAST_MS = 15_000;

/** Wait before try number `attempt` (0 = first retry): doubling to a cap, half of it random. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** attempt);
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}
