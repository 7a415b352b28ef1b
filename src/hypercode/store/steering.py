"""Commands to runs in the database. Whoever writes one that is new, or takes one back, has locked the run's row first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from hypercode.domain.errors import NotFound
from hypercode.domain.ids import new_id
from hypercode.domain.steering import CommandState, RunCommand, Verb
from hypercode.store.tables import RunCommandRow, RunRow

PENDING = CommandState.REQUESTED.value


@dataclass(frozen=True)
class Draft:
    """A command before it is one: who says what."""

    verb: Verb
    by: str
    text: str = ""
    seq: int | None = None
    id: str | None = None


async def add_command(session: AsyncSession, run: RunRow, draft: Draft) -> RunCommandRow:
    row = RunCommandRow(
        id=draft.id or new_id("command"),
        organisation_id=run.organisation_id,
        project_id=run.project_id,
        task_id=run.task_id,
        run_id=run.id,
        verb=draft.verb.value,
        text=draft.text,
        seq=draft.seq,
        state=PENDING,
        requested_by=draft.by,
        requested_at=datetime.now(UTC),
        code="",
        message="",
        hint="",
    )
    session.add(row)
    await session.flush()
    return row


async def get_command(session: AsyncSession, run_id: str, command_id: str) -> RunCommandRow:
    """Return a command of this run, fresh and locked."""
    row = await session.get(RunCommandRow, command_id, populate_existing=True, with_for_update=True)
    if row is None or row.run_id != run_id:
        raise NotFound(f"There is no command {command_id} to this run.")
    return row


async def find_command(session: AsyncSession, command_id: str) -> RunCommandRow | None:
    return await session.get(RunCommandRow, command_id)


async def commands_of(session: AsyncSession, run_id: str) -> list[RunCommandRow]:
    """All of them, oldest first."""
    rows = await session.scalars(
        select(RunCommandRow).where(RunCommandRow.run_id == run_id).order_by(RunCommandRow.number)
    )
    return list(rows)


async def pending_commands(
    session: AsyncSession, run_id: str, *verbs: Verb, taken_by: str | None = None
) -> list[RunCommandRow]:
    """Those that wait, oldest first and locked; with ``taken_by`` those too whose words this step took before a kill."""
    state = RunCommandRow.state == PENDING
    wanted = [RunCommandRow.run_id == run_id]
    wanted.append(state if taken_by is None else or_(state, RunCommandRow.step == taken_by))
    if verbs:
        wanted.append(RunCommandRow.verb.in_([verb.value for verb in verbs]))
    rows = await session.scalars(
        select(RunCommandRow).where(*wanted).order_by(RunCommandRow.number).with_for_update(),
        execution_options={"populate_existing": True},
    )
    return list(rows)


async def pauses_above(session: AsyncSession, run_id: str) -> list[RunCommandRow]:
    """The pauses that wait for this run or for one that it is a descendant of; locked."""
    above = select(RunRow.id, RunRow.parent_run_id).where(RunRow.id == run_id).cte("above", recursive=True)
    above = above.union_all(
        select(RunRow.id, RunRow.parent_run_id).join(above, RunRow.id == above.c.parent_run_id)
    )
    rows = await session.scalars(
        select(RunCommandRow)
        .where(
            RunCommandRow.run_id.in_(select(above.c.id)),
            RunCommandRow.verb == Verb.PAUSE.value,
            RunCommandRow.state == PENDING,
        )
        .order_by(RunCommandRow.number)
        .with_for_update(),
        execution_options={"populate_existing": True},
    )
    return list(rows)


async def anyone_works(session: AsyncSession, run_id: str) -> bool:
    """True while the run or one of its descendants holds a worker, or may be given one."""
    below = select(RunRow.id).where(RunRow.id == run_id).cte("below", recursive=True)
    below = below.union_all(select(RunRow.id).join(below, RunRow.parent_run_id == below.c.id))
    found = await session.scalar(
        select(RunRow.id)
        .where(RunRow.id.in_(select(below.c.id)), RunRow.ended_at.is_(None), RunRow.parked_at.is_(None))
        .limit(1)
    )
    return found is not None


@dataclass(frozen=True)
class Wanted:
    """What people want of a run now, for the worker that works on it."""

    run_id: str
    cancel: bool
    pause: bool
    interrupt: bool
    rewind: bool


async def wanted_of(session: AsyncSession, run_ids: Sequence[str]) -> list[Wanted]:
    """One look at several runs; what waits is found by its own small index."""

    def waits(verb: Verb):
        command = aliased(RunCommandRow)
        return exists().where(
            command.run_id == RunRow.id, command.state == PENDING, command.verb == verb.value
        )

    rows = await session.execute(
        select(
            RunRow.id,
            RunRow.cancel_requested_at.is_not(None),
            RunRow.pause_requested_at.is_not(None),
            waits(Verb.INTERRUPT),
            waits(Verb.REWIND),
        ).where(RunRow.id.in_(run_ids))
    )
    return [Wanted(*row) for row in rows]


async def interrupt_waits(session: AsyncSession, run_id: str) -> bool:
    (wanted,) = await wanted_of(session, [run_id])
    return wanted.interrupt


async def count_pending(session: AsyncSession, run_id: str) -> int:
    counted = await session.scalar(
        select(func.count()).where(RunCommandRow.run_id == run_id, RunCommandRow.state == PENDING)
    )
    return int(counted or 0)


def to_domain(row: RunCommandRow, names: Mapping[str, str] | None = None) -> RunCommand:
    """The command as people see it; ``names`` are those of the people who gave it or took it back, by id."""
    known = names or {}
    return RunCommand(
        id=row.id,
        run_id=row.run_id,
        verb=Verb(row.verb),
        text=row.text,
        seq=row.seq,
        state=CommandState(row.state),
        requested_by=known.get(row.requested_by, row.requested_by),
        requested_at=row.requested_at,
        settled_by=known.get(row.settled_by or "", row.settled_by),
        settled_at=row.settled_at,
        code=row.code,
        message=row.message,
        hint=row.hint,
        made_run_id=row.made_run_id,
    )
