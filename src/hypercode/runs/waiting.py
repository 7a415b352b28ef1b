"""How a run waits for a person: a while in memory, then parked. ADR 0018 tells the whole way.

A call that needs a person's word is answered with the id of what they are asked. The worker looks at that row, waits,
and repeats the call under a key of its own once they have spoken. The agent sees only what came of it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.agents.intent import ToolOutcome
from hypercode.domain.approval import ApprovalState
from hypercode.domain.errors import Cancelled
from hypercode.domain.event import RunStatusChanged
from hypercode.domain.question import QuestionState
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.runs.going_back import apply_rewinds
from hypercode.runs.pausing import write_paused
from hypercode.runs.services import Services
from hypercode.store.budgets import pause_holds
from hypercode.store.ownership import let_go_own
from hypercode.store.queue import enqueue_run, resume_run
from hypercode.store.runs import get_run, has_live_children, locked_run
from hypercode.store.tables import ApprovalRow, QuestionRow, RunRow

Call = Callable[[str], Awaitable[ToolOutcome]]
"""Makes the call under the key that it is given."""

ENOUGH = (ApprovalState.APPROVED.value, ApprovalState.USED.value, QuestionState.ANSWERED.value)
OPEN = (ApprovalState.PENDING.value, QuestionState.OPEN.value)


class Park(Exception):
    """The run waits longer than a worker holds it, or is paused: the work stops here, and is done again afterwards."""


@dataclass(frozen=True)
class Waited:
    """What stands in the row that a run waits for."""

    kind: type[ApprovalRow] | type[QuestionRow]
    id: str
    state: str
    note: str
    expires_at: datetime

    @property
    def reason(self) -> WaitReason:
        return WaitReason.APPROVAL if self.kind is ApprovalRow else WaitReason.ANSWER


class Waiting:
    """The waits of one segment of a run."""

    def __init__(self, services: Services, run_id: str, segment: int) -> None:
        self._services = services
        self._run_id = run_id
        self.segment = segment

    async def settled(self, key: str, call: Call) -> ToolOutcome:
        """Make the call; where a person has to speak first, wait until they have. Raises Park, or Cancelled."""
        outcome = await call(key)
        while (asked := _asked(outcome)) is not None:
            waited = await self._decided(*asked)
            if waited.state not in ENOUGH:
                return _refused(waited)
            outcome = await call(f"{key}+{waited.id}")
        return outcome

    async def park(self) -> bool:
        """Let the segment end, unless a person has spoken meanwhile; True when this worker is done with the run."""
        control = self._services.control
        async with self._services.database.transaction() as session:
            run = await locked_run(session, self._run_id)
            if run.segment != self.segment or run.ended_at is not None:
                return True  # decided while this worker was away: the next segment has the run, or nobody
            if run.parked_at is not None:
                await let_go_own(session, run.id, again=True)
                return True
            if run.cancel_requested_at is None and await apply_rewinds(session, run):
                run.parked_at = datetime.now(UTC)
                await resume_run(session, run)
                if run.pause_requested_at is None:
                    await let_go_own(session, run.id)
                    return True
            if run.cancel_requested_at is not None or not await still_waits(session, run):
                control.settled(self._run_id, cancelled=run.cancel_requested_at is not None)
                return False
            run.parked_at = run.parked_at or datetime.now(UTC)
            if run.pause_requested_at is not None:
                await write_paused(session, run)
            await let_go_own(session, run.id)
            return True

    async def turn_over(self) -> None:
        """End a segment that has become long between two steps; the next one is queued at once."""
        async with self._services.database.transaction() as session:
            run = await locked_run(session, self._run_id)
            if run.segment == self.segment:
                run.segment += 1
                await enqueue_run(session, run)
                await let_go_own(session, run.id)

    async def _decided(self, kind: type[ApprovalRow] | type[QuestionRow], id_: str) -> Waited:
        signal = self._services.control.decided(self._run_id)
        held_until = time.monotonic() + self._services.settings.approvals.held_s
        told = False
        while True:
            signal.clear()
            waited = await self._look(kind, id_)
            if waited.state not in OPEN:
                await self._say(waited, RunStatus.RUNNING)
                return waited
            if not told:
                await self._say(waited, RunStatus.WAITING)
                told = True
            left = held_until - time.monotonic()
            if left <= 0:
                raise Park
            try:
                await asyncio.wait_for(signal.wait(), left)
            except TimeoutError:
                continue

    async def _look(self, kind: type[ApprovalRow] | type[QuestionRow], id_: str) -> Waited:
        async with self._services.database.transaction() as session:
            run = await get_run(session, self._run_id)
            row = await session.get_one(kind, id_)
        if run.segment != self.segment or self._services.control.held(self._run_id):
            raise Park
        if run.cancel_requested_at is not None or row.state == ApprovalState.WITHDRAWN.value:
            raise Cancelled("The run was cancelled.")
        note = row.note if isinstance(row, ApprovalRow) else ""
        return Waited(kind, row.id, row.state, note, row.expires_at)

    async def _say(self, waited: Waited, status: RunStatus) -> None:
        """Say that the run waits, and that it goes on; the second only after the first."""
        waits, now = status is RunStatus.WAITING, datetime.now(UTC)
        (self._services.control.rests if waits else self._services.control.goes_on)(self._run_id)
        async with self._services.database.transaction() as session:
            run = await get_run(session, self._run_id)
        if (run.status == RunStatus.WAITING.value) is waits:
            return
        took = (now - run.waiting_since).total_seconds() if run.waiting_since and not waits else 0.0
        words = "Waiting for an approval" if waited.reason is WaitReason.APPROVAL else "Waiting for an answer"
        reason = waited.reason if waits else None
        await self._services.record(
            self._run_id,
            f"{waited.id}:{status.value}:{self.segment}",
            RunStatusChanged(status=status, wait_reason=reason, detail=words if waits else "Going on"),
            status=status.value,
            wait_reason=reason.value if reason else None,
            waiting_since=now if waits else None,
            waited_s=run.waited_s + took,
        )


def asks_a_person(outcome: ToolOutcome) -> bool:
    """Whether the call was not made, because a person has to speak first."""
    return _asked(outcome) is not None


def _asked(outcome: ToolOutcome) -> tuple[type[ApprovalRow] | type[QuestionRow], str] | None:
    if outcome.code == "PENDING_APPROVAL" and (id_ := outcome.data.get("approval_id")):
        return ApprovalRow, str(id_)
    if outcome.code == "PENDING_ANSWER" and (id_ := outcome.data.get("question_id")):
        return QuestionRow, str(id_)
    return None


def _refused(waited: Waited) -> ToolOutcome:
    hint = "Do without it, and say so in your summary."
    if waited.kind is QuestionRow:
        return _failed(
            "TIMEOUT", "Nobody answered in time.", "Choose the plainest reading of the task and name it."
        )
    if waited.state == ApprovalState.EXPIRED.value:
        return _failed("POLICY_DENIED", "Nobody approved this call in time: the question has expired.", hint)
    said = f": {waited.note}" if waited.note else "."
    return _failed("POLICY_DENIED", f"A person refused this call{said}", hint)


def _failed(code: str, message: str, hint: str) -> ToolOutcome:
    data = {"code": code, "message": message, "hint": hint, "retryable": False}
    return ToolOutcome(ok=False, code=code, text=f"{code}: {message}\n{hint}", data=data)


async def still_waits(session: AsyncSession, run: RunRow) -> bool:
    """Whether there is something that the run is parked for; its row is locked."""
    if run.pause_requested_at is not None:
        return True
    for kind in (ApprovalRow, QuestionRow):
        found = await session.scalar(
            select(kind.id).where(kind.run_id == run.id, kind.state.in_(OPEN)).limit(1)
        )
        if found is not None:
            return True
    if run.wait_reason == WaitReason.CHILDREN.value and await has_live_children(session, run.id):
        return True
    return await pause_holds(session, run.id)
