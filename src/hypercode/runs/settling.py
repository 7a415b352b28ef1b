"""What became of what a person told a run: written down and told in one go, in the transaction that did it."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import HyperCodeError, RunEnded, Superseded
from hypercode.domain.event import CommandSettled
from hypercode.domain.run import RunStatus
from hypercode.domain.steering import CommandState, Verb
from hypercode.events import log
from hypercode.store.runs import get_run
from hypercode.store.steering import PENDING, anyone_works, pauses_above, pending_commands
from hypercode.store.tables import RunCommandRow, RunRow
from hypercode.telemetry.metrics import COMMANDS_SETTLED


async def settle(
    session: AsyncSession,
    run: RunRow,
    row: RunCommandRow,
    state: CommandState,
    *,
    why: HyperCodeError | None = None,
    by: tuple[str, str] | None = None,
) -> None:
    """Settle a command that waits; ``by`` is who took it back, as id and name. A settled one stays as it is."""
    if row.state != PENDING:
        return
    row.state, row.settled_at = state.value, datetime.now(UTC)
    if why is not None:
        row.code, row.message, row.hint = why.code, why.message, why.hint
    if by is not None:
        row.settled_by = by[0]
    COMMANDS_SETTLED.labels(row.verb, row.state).inc()
    told = CommandSettled(
        command_id=row.id,
        verb=Verb(row.verb),
        state=state,
        by=by[1] if by else None,
        code=row.code,
        message=row.message,
        hint=row.hint,
        made_run_id=row.made_run_id,
    )
    await session.flush()
    # To a run that has ended nothing more is told: the row alone says what became of the command.
    if not RunStatus(run.status).ended:
        await log.append(session, run.id, f"command:{row.id}:settled", [told])


async def settle_pauses(session: AsyncSession, run: RunRow) -> None:
    """A run was parked or has ended: a pause of it, or of one above it, is done once nobody in there works any more."""
    await session.flush()
    # The lock on the pause puts those in a row who park at the same time: the last one sees all the others.
    for row in await pauses_above(session, run.id):
        if not await anyone_works(session, row.run_id):
            await settle(session, await get_run(session, row.run_id), row, CommandState.APPLIED)


async def settle_all(
    session: AsyncSession, run: RunRow, *verbs: Verb, state: CommandState, why: HyperCodeError | None = None
) -> None:
    for row in await pending_commands(session, run.id, *verbs):
        await settle(session, run, row, state, why=why)


async def settle_at_end(session: AsyncSession, run: RunRow, status: RunStatus) -> None:
    """The run is about to end like this: its cancel is done, all else that waits comes too late."""
    await settle_pauses(session, run)
    if status is RunStatus.CANCELLED:
        await settle_all(session, run, Verb.CANCEL, state=CommandState.APPLIED)
    late = RunEnded(
        "The run ended before this reached it.", hint="Hand in a new task, or fork the run where it was."
    )
    await settle_all(session, run, state=CommandState.REFUSED, why=late)


async def settle_pending_pauses(session: AsyncSession, run: RunRow, word: str) -> None:
    """Pauses that were not reached yet are out of date."""
    await settle_all(
        session, run, Verb.PAUSE, state=CommandState.WITHDRAWN, why=Superseded(f"The run was {word} first.")
    )
