import { describe, expect, it } from "vitest";
import { lineTone, mayMakeRules, outcomeWords, touchedWords } from "./words";

describe("approvals in words", () => {
  it("says who decided, and how far it reaches", () => {
    expect(outcomeWords({ state: "used", scope: "once", decided_by: "Ada" })).toBe("Approved once by Ada");
    expect(outcomeWords({ state: "approved", scope: "rule", decided_by: "Ada" })).toBe("Approved as a rule by Ada");
    expect(outcomeWords({ state: "denied", scope: null, decided_by: "Ada" })).toBe("Refused by Ada");
    expect(outcomeWords({ state: "withdrawn", scope: null, decided_by: null })).toBe("Not needed any more");
  });

  it("names only what a call touches", () => {
    expect(touchedWords({ paths: ["a", "b"], argv: ["x"], image: null, hosts: [], ref: "main", secrets: [], size: 3 })).toEqual([
      ["Files", ["a", "b"]],
      ["Git ref", ["main"]],
    ]);
  });

  it("lets maintainers and admins make rules", () => {
    expect([mayMakeRules("admin"), mayMakeRules("maintainer"), mayMakeRules("member"), mayMakeRules(undefined)]).toEqual([true, true, false, false]);
  });

  it("colours only what a diff adds and takes away", () => {
    expect([lineTone("diff", "+a"), lineTone("diff", "-a"), lineTone("diff", "+++ a"), lineTone("command", "+a")]).toEqual(["text-ok", "text-err", "", ""]);
  });
});
