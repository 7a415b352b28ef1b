import { describe, expect, it } from "vitest";
import { hear, type Said } from "./said";

const piece = (at: number, text: string, attempt = "a") => ({ turn: 3, attempt, at, text });
const all = (...pieces: ReturnType<typeof piece>[]) => pieces.reduce<Said | null>((said, each) => hear(said, each), null)?.text;

describe("hear", () => {
  it("joins pieces, counted in code points", () => {
    expect(all(piece(0, "a 😀"), piece(3, " b"))).toBe("a 😀 b");
  });

  it("shows where something was lost, also before the first piece", () => {
    expect(all(piece(0, "one"), piece(8, "three"))).toBe("one… three");
    expect(all(piece(8, "three"))).toBe("… three");
  });

  it("begins anew with another try, and with all of it again", () => {
    expect(all(piece(0, "one"), piece(0, "", "b"))).toBe("");
    expect(all(piece(0, "one"), piece(0, "un", "b"), piece(2, " deux", "b"))).toBe("un deux");
    expect(all(piece(0, "one"), piece(0, "one two"))).toBe("one two");
  });
});
