"""Runs in the database."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import NotFound
from hypercode.domain.role import AgentRole
from hypercode.domain.run import Run, RunStatus, WaitReason
from hypercode.store.channels import RUN_ENDED
from hypercode.store.database import wake
from hypercode.store.queue import resume_run
from hypercode.store.tables import RunEventRow, RunRow, TaskRow


async def create_run(  # noqa: PLR0913 - a run's columns, by name
    session: AsyncSession,
    *,
    id: str,
    organisation_id: str,
    project_id: str,
    task_id: str,
    parent_run_id: str | None,
    plan_item_id: str | None,
    goal: str,
    role: AgentRole,
    model: str,
    workspace_id: str,
    grant_token: str,
    trace_parent: str | None = None,
) -> RunRow:
    row = RunRow(
        id=id,
        organisation_id=organisation_id,
        project_id=project_id,
        task_id=task_id,
        parent_run_id=parent_run_id,
        plan_item_id=plan_item_id,
        goal=goal,
        role=role.value,
        model=model,
        status=RunStatus.QUEUED.value,
        workspace_id=workspace_id,
        grant_token=grant_token,
        trace_parent=trace_parent,
        created_at=datetime.now(UTC),
        tokens_in=0,
        tokens_out=0,
        turns=0,
        cost_usd=0.0,
    )
    session.add(row)
    await session.flush()
    if parent_run_id is not None:
        await _share_fate(session, row, parent_run_id)
    return row


async def _share_fate(session: AsyncSession, child: RunRow, parent_run_id: str) -> None:
    """A child made just after its parent was to stop or to pause does so too; the parent's row is locked by its maker."""
    cancel, pause = (
        await session.execute(
            select(RunRow.cancel_requested_at, RunRow.pause_requested_at).where(RunRow.id == parent_run_id)
        )
    ).one()
    child.cancel_requested_at, child.pause_requested_at = cancel, pause
    await session.flush()


async def get_run(session: AsyncSession, run_id: str) -> RunRow:
    row = await session.get(RunRow, run_id)
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return row


async def locked_run(session: AsyncSession, run_id: str) -> RunRow:
    """The run, fresh and locked: parking it, and deciding what it waits for, are each done under this lock.

    The lock lets rows that name the run be written, events among them: whoever holds both took this one first.
    """
    row = await session.get(RunRow, run_id, populate_existing=True, with_for_update={"key_share": True})
    if row is None:
        raise NotFound(f"There is no run {run_id}.")
    return row


async def locked_after_its_parent(session: AsyncSession, run_id: str) -> RunRow:
    """Both are locked from the top, as a cancel of the whole tree does it: the end of a child is told to its parent."""
    parent_run_id = (await get_run(session, run_id)).parent_run_id
    if parent_run_id is not None:
        await locked_run(session, parent_run_id)
    return await locked_run(session, run_id)


async def get_task_of(session: AsyncSession, run: RunRow) -> TaskRow:
    row = await session.get(TaskRow, run.task_id)
    if row is None:
        raise NotFound(f"There is no task {run.task_id}.")
    return row


async def runs_of_task(session: AsyncSession, task_id: str) -> list[RunRow]:
    rows = await session.scalars(
        select(RunRow).where(RunRow.task_id == task_id).order_by(RunRow.created_at, RunRow.id)
    )
    return list(rows)


async def children_of(session: AsyncSession, run_id: str) -> list[RunRow]:
    rows = await session.scalars(
        select(RunRow).where(RunRow.parent_run_id == run_id).order_by(RunRow.created_at, RunRow.id)
    )
    return list(rows)


async def has_live_children(session: AsyncSession, run_id: str) -> bool:
    live = select(RunRow.id).where(RunRow.parent_run_id == run_id, RunRow.ended_at.is_(None)).limit(1)
    return await session.scalar(live) is not None


async def child_ended(session: AsyncSession, parent_run_id: str) -> None:
    """Tell the run that delegated it; one that was parked goes on when its last child has ended. Its row is locked."""
    parent = await locked_run(session, parent_run_id)
    await wake(session, RUN_ENDED, parent_run_id)
    waits = parent.parked_at is not None and parent.wait_reason == WaitReason.CHILDREN.value
    if waits and not await has_live_children(session, parent_run_id):
        await resume_run(session, parent)


@dataclass(frozen=True)
class LiveRuns:
    """Runs of one role and status that have not ended: how many, why they wait, and since when the oldest is there."""

    role: str
    status: str
    wait_reason: str | None
    number: int
    oldest: datetime


async def live_runs(session: AsyncSession) -> list[LiveRuns]:
    """Count the runs that have not ended, by the index on status; ended ones are never looked at."""
    live = [status.value for status in RunStatus if not status.ended]
    rows = await session.execute(
        select(RunRow.role, RunRow.status, RunRow.wait_reason, func.count(), func.min(RunRow.created_at))
        .where(RunRow.status.in_(live))
        .group_by(RunRow.role, RunRow.status, RunRow.wait_reason)
    )
    return [LiveRuns(*row) for row in rows]


async def image_of_run(session: AsyncSession, run_id: str) -> str | None:
    """Return the image that the run's environment came to, as its event says; None before that."""
    said = select(RunEventRow.payload["image_id"].astext).where(
        RunEventRow.run_id == run_id, RunEventRow.type == "environment.prepared"
    )
    return await session.scalar(said.order_by(RunEventRow.seq.desc()).limit(1))


async def update_run(session: AsyncSession, run_id: str, **values: Any) -> None:
    await session.execute(update(RunRow).where(RunRow.id == run_id).values(**values))


async def locked_tree(session: AsyncSession, run_id: str) -> list[RunRow]:
    """The run and all its descendants, locked from above, so that none is made meanwhile; ended ones are left out."""
    tree = [await locked_run(session, run_id)]
    above = [run_id]
    while above:
        rows = await session.scalars(
            select(RunRow)
            .where(RunRow.parent_run_id.in_(above))
            .order_by(RunRow.id)
            .with_for_update(key_share=True),
            execution_options={"populate_existing": True},
        )
        below = list(rows)
        tree += below
        above = [row.id for row in below]
    return [row for row in tree if row.ended_at is None]


def to_domain(row: RunRow) -> Run:
    return Run(
        id=row.id,
        organisation_id=row.organisation_id,
        project_id=row.project_id,
        task_id=row.task_id,
        parent_run_id=row.parent_run_id,
        role=AgentRole(row.role),
        model=row.model,
        status=RunStatus(row.status),
        wait_reason=WaitReason(row.wait_reason) if row.wait_reason else None,
        error_code=row.error_code,
        error_message=row.error_message,
        base_commit=row.base_commit,
        workspace_id=row.workspace_id,
        proof=row.proof,
        verified=row.verified,
        protected_paths=[str(path) for path in row.protected_paths or ()],
        cost_usd=row.cost_usd,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )
