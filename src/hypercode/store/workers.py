"""Workers in the database. Their leases live by the database's clock, so no two machines have to agree on the time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.worker import WorkerState
from hypercode.store.tables import RunHeadRow, WorkerRow

SWEEP_LOCK = 7_419_010
REMEMBERED = timedelta(days=7)
_NOW = func.clock_timestamp()


async def register_worker(session: AsyncSession, worker: WorkerRow) -> None:
    """Begin its lease. Who was alive at its place before is dead: a place holds one worker at a time."""
    if worker.place is not None:
        await session.execute(
            update(WorkerRow)
            .where(WorkerRow.place == worker.place, WorkerRow.state == WorkerState.ALIVE.value)
            .values(state=WorkerState.DEAD.value, ended_at=_NOW)
        )
    await session.execute(delete(WorkerRow).where(WorkerRow.ended_at < _NOW - REMEMBERED))
    worker.state = WorkerState.ALIVE.value
    session.add(worker)
    await session.flush()


async def renew_lease(session: AsyncSession, worker_id: str) -> bool:
    """False when somebody has declared the worker dead: then its runs are another's."""
    renewed = await session.scalar(
        update(WorkerRow)
        .where(WorkerRow.id == worker_id, WorkerRow.state == WorkerState.ALIVE.value)
        .values(heartbeat_at=_NOW)
        .returning(WorkerRow.id)
    )
    return renewed is not None


async def sweeps(session: AsyncSession) -> bool:
    """Whether this transaction is the one that sweeps now; others do not wait for it."""
    return bool(await session.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": SWEEP_LOCK}))


async def declare_dead(session: AsyncSession, by: str, lease_s: float) -> list[str]:
    """Declare those dead that did not renew their lease, while they could: Postgres was there all the time."""
    lease = timedelta(seconds=lease_s)
    dead = await session.scalars(
        update(WorkerRow)
        .where(
            WorkerRow.id != by,
            WorkerRow.state == WorkerState.ALIVE.value,
            WorkerRow.heartbeat_at < _NOW - lease,
            func.pg_postmaster_start_time() < _NOW - lease,
        )
        .values(state=WorkerState.DEAD.value, ended_at=_NOW)
        .returning(WorkerRow.id)
    )
    return list(dead)


@dataclass(frozen=True)
class Stranded:
    """A run in the hands of a worker that is gone, and when that one was last seen."""

    run_id: str
    worker_id: str
    seen_at: datetime | None


async def stranded_runs(session: AsyncSession) -> list[Stranded]:
    """All of them, also those that an interrupted sweep left, or whose worker nobody remembers."""
    rows = await session.execute(
        select(RunHeadRow.run_id, RunHeadRow.worker_id, WorkerRow.heartbeat_at)
        .outerjoin(WorkerRow, WorkerRow.id == RunHeadRow.worker_id)
        .where(
            RunHeadRow.worker_id.is_not(None),
            or_(WorkerRow.state.is_(None), WorkerRow.state != WorkerState.ALIVE.value),
        )
    )
    return [Stranded(*row) for row in rows]


async def end_worker(session: AsyncSession, worker_id: str) -> None:
    """It stops in order; one that was declared dead meanwhile stays dead."""
    await session.execute(
        update(WorkerRow)
        .where(WorkerRow.id == worker_id, WorkerRow.state == WorkerState.ALIVE.value)
        .values(state=WorkerState.STOPPED.value, ended_at=_NOW)
    )


async def count_taken(session: AsyncSession, worker_id: str) -> None:
    """One more of its runs went to others."""
    await session.execute(
        update(WorkerRow).where(WorkerRow.id == worker_id).values(runs_taken=WorkerRow.runs_taken + 1)
    )


@dataclass(frozen=True)
class Census:
    """How many workers there are by state, those that ended in the last days too, and what the dead left."""

    by_state: dict[str, int]
    taken_over: int
    roles: frozenset[str]


async def census(session: AsyncSession) -> Census:
    rows: Sequence[WorkerRow] = (await session.scalars(select(WorkerRow))).all()
    alive = [row for row in rows if row.state == WorkerState.ALIVE.value]
    return Census(
        by_state={state.value: sum(row.state == state.value for row in rows) for state in WorkerState},
        taken_over=sum(row.runs_taken for row in rows if row.state == WorkerState.DEAD.value),
        roles=frozenset(str(role) for row in alive for role in row.roles),
    )
