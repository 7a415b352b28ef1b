/** What the platform may say about runs, and how: every state has words and an icon. */
import type { IconName } from "@/components/ui/icon";
import type { Tone } from "@/components/ui/chip";
import type { Grade, RunStatus, WaitReason } from "@/lib/api/types";

interface Look {
  words: string;
  icon: IconName;
  tone: Tone;
}

export const STATUS_LOOK: Record<RunStatus, Look> = {
  queued: { words: "Queued", icon: "clock", tone: "neutral" },
  running: { words: "Working", icon: "spinner", tone: "accent" },
  waiting: { words: "Waiting", icon: "pause", tone: "warn" },
  verifying: { words: "Checking the result", icon: "spinner", tone: "accent" },
  succeeded: { words: "Finished", icon: "check", tone: "neutral" },
  failed: { words: "Failed", icon: "xCircle", tone: "err" },
  cancelled: { words: "Stopped", icon: "stop", tone: "neutral" },
};

export const WAIT_WORDS: Record<WaitReason, string> = {
  approval: "Waiting for your approval",
  answer: "Waiting for your answer",
  budget: "Paused: budget",
  paused: "Paused",
  provider: "Waiting for the model’s provider",
  children: "Waiting for its Coders",
  limit: "Waiting its turn: as many runs as allowed are at work",
};

interface GradeLook extends Look {
  meaning: string;
}

export const GRADE_LOOK: Record<Grade, GradeLook> = {
  fixed: {
    words: "Fixed",
    icon: "shield",
    tone: "ok",
    meaning: "Checks that failed before are reported green now, and nothing that passed before fails.",
  },
  agent_tests: {
    words: "Agent’s own tests",
    icon: "flask",
    tone: "warn",
    meaning: "Only new tests written by the agent show the change. They fail without it and pass with it.",
  },
  regression_only: {
    words: "Nothing broken",
    icon: "check",
    tone: "warn",
    meaning: "All that passed before still passes. No check shows that the change does what was asked.",
  },
  unproved: {
    words: "Not proved",
    icon: "info",
    tone: "warn",
    meaning: "The platform could not show that this result is right.",
  },
};

export function isGrade(value: string | null | undefined): value is Grade {
  return value !== null && value !== undefined && value in GRADE_LOOK;
}

export function hasEnded(status: RunStatus): boolean {
  return status === "succeeded" || status === "failed" || status === "cancelled";
}

export const ROLE_WORDS = { architect: "Architect", coder: "Coder", reviewer: "Reviewer", person: "Person" } as const;
