/** Approvals in words. Pure. */
import type { Tone } from "@/components/ui/chip";
import type { Approval, ApprovalScope, ApprovalState, PersonRole, Preview, Touched } from "@/lib/api/types";

export const REACH: Record<ApprovalScope, string> = { once: "once", task: "for this task", rule: "as a rule" };

export const KIND_WORDS: Record<Preview["kind"], string> = {
  command: "The agent asks to run a command",
  diff: "The agent asks to change a file",
  arguments: "The agent asks to use a tool",
};

export const STATE_TONE: Record<ApprovalState, Tone> = {
  pending: "warn",
  approved: "ok",
  used: "ok",
  denied: "err",
  expired: "neutral",
  withdrawn: "neutral",
};

/** What became of an approval, and by whom. */
export function outcomeWords({ state, scope, decided_by }: Pick<Approval, "state" | "scope" | "decided_by">): string {
  switch (state) {
    case "approved":
    case "used":
      return `Approved ${REACH[scope ?? "once"]} by ${decided_by}`;
    case "denied":
      return `Refused by ${decided_by}`;
    case "expired":
      return "Nobody approved it in time";
    case "withdrawn":
      return decided_by ? "Taken back" : "Not needed any more";
    case "pending":
      return "Waiting for you";
  }
}

/** What a call touches, by what it is; nothing that it does not name. */
export function touchedWords(touched: Touched): [label: string, names: string[]][] {
  const { paths = [], image, hosts = [], ref, secrets = [] } = touched;
  const all: [string, string[]][] = [
    ["Files", paths],
    ["Image", image ? [image] : []],
    ["Hosts", hosts],
    ["Git ref", ref ? [ref] : []],
    ["Secrets", secrets],
  ];
  return all.filter(([, names]) => names.length > 0);
}

/** Only who may stand for others makes a rule of an approval. */
export function mayMakeRules(role: PersonRole | undefined): boolean {
  return role === "admin" || role === "maintainer";
}

export function lineTone(kind: Preview["kind"], line: string): string {
  if (kind !== "diff" || line.startsWith("+++") || line.startsWith("---")) return "";
  if (line.startsWith("+")) return "text-ok";
  return line.startsWith("-") ? "text-err" : "";
}
