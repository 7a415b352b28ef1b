"""Which worker holds a run, and the fence: what a worker writes for a run that it no longer holds is rolled back.

The holder stands in ``run_heads``, the row that an append locks anyway: the check costs an append nothing, and no
worker takes a run over while another's append is under way.
"""

from dataclasses import dataclass

from sqlalchemy import event, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from hypercode.store.tables import RunHeadRow

OWNER = "owner"
WROTE = "wrote"
CHECKED = "checked"


class LeaseLost(Exception):
    """Another worker has the run. Nothing was written, and who is told this stops its work."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"The run {run_id} is no longer this worker's.")


@dataclass(frozen=True)
class Owner:
    """A worker on a run."""

    run_id: str
    worker_id: str


class OwnedSession(Session):
    """A session of a run's worker; it knows whether it wrote, and so whether it has to be checked."""


@event.listens_for(OwnedSession, "do_orm_execute")
def _executes(state: ORMExecuteState) -> None:  # pyright: ignore[reportUnusedFunction]
    if not state.is_select:
        state.session.info[WROTE] = True


@event.listens_for(OwnedSession, "after_flush")
def _flushes(session: Session, _: UOWTransaction) -> None:  # pyright: ignore[reportUnusedFunction]
    session.info[WROTE] = True


def owner_of(session: AsyncSession, run_id: str) -> str | None:
    """The worker that this session writes the run's events for; None where it is no run's worker that writes."""
    owner = session.info.get(OWNER)
    return owner.worker_id if isinstance(owner, Owner) and owner.run_id == run_id else None


def checked(session: AsyncSession) -> None:
    """The row of the run's holder is locked, and names this worker."""
    session.info[CHECKED] = True


async def check_owner(session: AsyncSession) -> None:
    """At the end of a worker's transaction: raise LeaseLost where it wrote and nothing has checked it yet."""
    await session.flush()
    owner = session.info.get(OWNER)
    if not isinstance(owner, Owner) or CHECKED in session.info or WROTE not in session.info:
        return
    held = select(RunHeadRow.run_id).where(
        RunHeadRow.run_id == owner.run_id, RunHeadRow.worker_id == owner.worker_id
    )
    if await session.scalar(held.with_for_update(read=True)) is None:
        raise LeaseLost(owner.run_id)


async def let_go(session: AsyncSession, run_id: str, worker_id: str) -> bool:
    """End the worker's hold on the run; False when it had none."""
    freed = await session.scalar(
        update(RunHeadRow)
        .where(RunHeadRow.run_id == run_id, RunHeadRow.worker_id == worker_id)
        .values(worker_id=None)
        .returning(RunHeadRow.run_id)
    )
    return freed is not None


async def let_go_own(session: AsyncSession, run_id: str, *, again: bool = False) -> None:
    """The same for the worker whose session it is, which goes on to write nothing; raises LeaseLost.

    ``again``: it may have been done before, by a step that is repeated.
    """
    worker_id = owner_of(session, run_id)
    if worker_id is None:
        return
    if not await let_go(session, run_id, worker_id) and not again:
        raise LeaseLost(run_id)
    checked(session)
