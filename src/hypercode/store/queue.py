"""A run's place in the queue is its own row: it commits with whatever put it there, and a worker claims it.

The step journal knows nothing of the queue. ADR 0021 tells why.
"""

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.channels import RUN_DECIDED, RUN_QUEUED
from hypercode.store.database import wake
from hypercode.store.ownership import let_go
from hypercode.store.tables import RunRow

# Bumped when a workflow's steps change their order or their meaning: a worker claims no run that a newer one worked on.
LOOP_VERSION = 1
APPLICATION_NAME = "hypercode"
APPLICATION_VERSION = f"hypercode-{LOOP_VERSION}"
RUN_WORKFLOW = "run_segment"


def segment_id(run_id: str, segment: int) -> str:
    """A workflow's id: idempotent by itself, so that a segment is never begun twice."""
    return f"{run_id}-{segment}"


async def enqueue_run(session: AsyncSession, run: RunRow) -> None:
    """Put the run into the queue in the caller's transaction, and wake the workers once it has committed."""
    run.queued_at = func.clock_timestamp()
    await session.flush()
    await wake(session, RUN_QUEUED, run.id)


async def resume_run(session: AsyncSession, run: RunRow) -> None:
    """What a run waits for has come: one that is parked goes on as its next segment, unless a person paused it.

    Its row is locked.
    """
    if run.parked_at is not None and run.pause_requested_at is None:
        run.parked_at, run.segment = None, run.segment + 1
        await enqueue_run(session, run)
    await wake(session, RUN_DECIDED, run.id)


async def release_run(session: AsyncSession, run_id: str, worker_id: str) -> RunRow | None:
    """Take a run out of a worker's hands and queue its next segment; None when the worker did not hold it."""
    run = await session.get(RunRow, run_id, populate_existing=True, with_for_update={"key_share": True})
    if run is None or not await let_go(session, run_id, worker_id):
        return None
    run.segment += 1
    await enqueue_run(session, run)
    return run
