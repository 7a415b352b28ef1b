"""A paused run is parked like one that waits for a person, and its children with it."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.event import RunStatusChanged
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.events import log
from hypercode.runs.settling import settle_pauses
from hypercode.store.queue import resume_run
from hypercode.store.steering import pauses_above
from hypercode.store.tables import RunRow


async def write_paused(session: AsyncSession, run: RunRow) -> None:
    """The run is parked and holds no worker: say that it is paused. Its row is locked."""
    # Commands before events, as everywhere: a child that parks at the same time holds the command, and then tells its parent.
    await pauses_above(session, run.id)
    if run.wait_reason != WaitReason.PAUSED.value:
        run.status, run.wait_reason = RunStatus.WAITING.value, WaitReason.PAUSED.value
        run.waiting_since = run.waiting_since or datetime.now(UTC)
        paused = RunStatusChanged(
            status=RunStatus.WAITING, wait_reason=WaitReason.PAUSED, detail="Paused by a person"
        )
        await log.append(session, run.id, f"paused:{run.segment}", [paused])
    await settle_pauses(session, run)


async def pause_now(session: AsyncSession, run: RunRow) -> None:
    """Mark a run; one that no worker works on is paused by this alone."""
    run.pause_requested_at = datetime.now(UTC)
    if run.parked_at is None and (run.queued_at is not None or run.started_at is None):
        # A worker that claims it at this moment sees that it is parked.
        run.parked_at, run.queued_at = datetime.now(UTC), None
    if run.parked_at is not None:
        await write_paused(session, run)


async def end_pause(session: AsyncSession, run: RunRow) -> None:
    """Let a run go on: one that is parked gets the next free worker. What it waited for before, it waits for again."""
    run.pause_requested_at = None
    if run.parked_at is not None:
        now = datetime.now(UTC)
        run.waited_s += (now - run.waiting_since).total_seconds() if run.waiting_since else 0.0
        run.status, run.wait_reason, run.waiting_since = RunStatus.QUEUED.value, None, None
        resumed = RunStatusChanged(
            status=RunStatus.QUEUED, wait_reason=None, detail="Resumed; a worker takes it up"
        )
        await log.append(session, run.id, f"resumed:{run.segment}", [resumed])
    await resume_run(session, run)


async def write_going_on(session: AsyncSession, run: RunRow) -> None:
    """A worker took a resumed run up."""
    if run.status == RunStatus.QUEUED.value and run.started_at is not None:
        run.status = RunStatus.RUNNING.value
        going_on = RunStatusChanged(status=RunStatus.RUNNING, wait_reason=None, detail="Going on")
        await log.append(session, run.id, f"going-on:{run.segment}", [going_on])
