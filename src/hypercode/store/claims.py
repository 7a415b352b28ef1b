"""Claiming runs from the queue. One worker at a time chooses, so that limits hold exactly; which is for ``runs/sharing.py``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.run import RunStatus
from hypercode.store.queue import LOOP_VERSION
from hypercode.store.tables import ProjectRow, RunHeadRow, RunRow, TaskRow

CLAIM_LOCK = 7_419_011
AT_WORK = (RunStatus.QUEUED.value, RunStatus.RUNNING.value, RunStatus.VERIFYING.value)
"""A run in a worker's hands counts, unless it waits: an Architect that waits for its Coders takes none of their room."""


@dataclass(frozen=True)
class Queued:
    """A run that waits for a worker, and what decides when it is its turn."""

    run_id: str
    segment: int
    project_id: str
    user_id: str
    priority: int
    begun: bool
    cancelled: bool
    queued_at: datetime
    lost_at: datetime | None
    wait_reason: str | None
    served_at: datetime | None


@dataclass(frozen=True)
class Busy:
    """How many runs of a person in a project are being worked on."""

    project_id: str
    user_id: str
    number: int


async def lock_claims(session: AsyncSession) -> None:
    await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CLAIM_LOCK})


async def queued_runs(session: AsyncSession, roles: Sequence[str], depth: int) -> list[Queued]:
    """The first ``depth`` runs of each person in each project, in the order in which they go."""
    begun = (RunRow.parent_run_id.is_not(None)) | (RunRow.segment > 0)
    cancelled = RunRow.cancel_requested_at.is_not(None)
    order = (cancelled.desc(), TaskRow.priority.desc(), begun.desc(), RunRow.queued_at, RunRow.id)
    place = func.row_number().over(partition_by=(RunRow.project_id, TaskRow.created_by), order_by=order)
    ranked = (
        select(
            RunRow.id,
            RunRow.segment,
            RunRow.project_id,
            TaskRow.created_by,
            TaskRow.priority,
            begun,
            cancelled,
            RunRow.queued_at,
            RunRow.lost_at,
            RunRow.wait_reason,
            ProjectRow.served_at,
            place.label("place"),
        )
        .join(TaskRow, TaskRow.id == RunRow.task_id)
        .join(ProjectRow, ProjectRow.id == RunRow.project_id)
        .where(RunRow.queued_at.is_not(None), RunRow.role.in_(roles), RunRow.loop_version <= LOOP_VERSION)
        .subquery()
    )
    rows = await session.execute(select(ranked).where(ranked.c.place <= depth))
    return [Queued(*row[:-1]) for row in rows]


async def busy_runs(session: AsyncSession) -> list[Busy]:
    rows = await session.execute(
        select(RunRow.project_id, TaskRow.created_by, func.count())
        .select_from(RunHeadRow)
        .join(RunRow, RunRow.id == RunHeadRow.run_id)
        .join(TaskRow, TaskRow.id == RunRow.task_id)
        .where(RunHeadRow.worker_id.is_not(None), RunRow.status.in_(AT_WORK))
        .group_by(RunRow.project_id, TaskRow.created_by)
    )
    return [Busy(*row) for row in rows]


async def take_runs(session: AsyncSession, runs: Sequence[Queued], worker_id: str) -> None:
    """Put these runs into the worker's hands; each project's turn is over when it is served."""
    ids = [run.run_id for run in runs]
    await session.execute(
        update(RunRow)
        .where(RunRow.id.in_(ids))
        .values(
            queued_at=None,
            lost_at=None,
            loop_version=LOOP_VERSION,
            wait_reason=case((RunRow.status == RunStatus.QUEUED.value, None), else_=RunRow.wait_reason),
        )
    )
    held = insert(RunHeadRow).values([{"run_id": id_, "seq": 0, "worker_id": worker_id} for id_ in ids])
    await session.execute(
        held.on_conflict_do_update(index_elements=["run_id"], set_={"worker_id": held.excluded.worker_id})
    )
    await session.execute(
        update(ProjectRow)
        .where(ProjectRow.id.in_({run.project_id for run in runs}))
        .values(served_at=func.clock_timestamp())
    )
