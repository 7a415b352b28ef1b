import { Chip } from "@/components/ui/chip";
import type { RunStatus, WaitReason } from "@/lib/api/types";
import { GRADE_LOOK, isGrade, STATUS_LOOK, WAIT_WORDS } from "../model/words";

export function RunStatusChip({ status, waitReason = null }: { status: RunStatus; waitReason?: WaitReason | null }) {
  const look = STATUS_LOOK[status];
  return (
    <Chip tone={look.tone} icon={look.icon}>
      {status === "waiting" && waitReason ? WAIT_WORDS[waitReason] : look.words}
    </Chip>
  );
}

/** What was shown about the result; nothing while nothing was judged. */
export function GradeChip({ grade }: { grade: string | null }) {
  if (!isGrade(grade)) return null;
  const look = GRADE_LOOK[grade];
  return (
    <Chip tone={look.tone} icon={look.icon} title={look.meaning}>
      {look.words}
    </Chip>
  );
}
