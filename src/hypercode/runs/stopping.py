"""Stopping runs: marked and woken where somebody works on them, ended at once where nobody ever did."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Superseded
from hypercode.domain.run import RunStatus
from hypercode.domain.steering import CommandState, Verb
from hypercode.runs.ending import Outcome, count_end, write_end
from hypercode.runs.settling import settle_all
from hypercode.store.channels import RUN_CONTROL
from hypercode.store.database import wake
from hypercode.store.queue import resume_run
from hypercode.store.tables import RunRow

CANCELLED = Outcome(
    status=RunStatus.CANCELLED, error_code="CANCELLED", error_message="Cancelled before it began."
)


async def stop(session: AsyncSession, runs: Sequence[RunRow], at: datetime) -> None:
    """Ask these runs, which are locked and have not ended, to stop."""
    for run in runs:
        run.cancel_requested_at, run.pause_requested_at = run.cancel_requested_at or at, None
    await session.flush()
    overtaken = Superseded("The run was cancelled first.")
    for run in runs:
        await settle_all(session, run, Verb.PAUSE, state=CommandState.WITHDRAWN, why=overtaken)
        await wake(session, RUN_CONTROL, run.id)
        if run.started_at is not None:
            await resume_run(session, run)
    for run in runs:
        if run.started_at is None:
            count_end(run, await write_end(session, run, CANCELLED))
