"""Tasks in the database."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from hypercode.domain.attestation import Grade
from hypercode.domain.budget import Budget
from hypercode.domain.errors import NotFound
from hypercode.domain.run import RunStatus
from hypercode.domain.task import Priority, Routing, Task
from hypercode.store.tables import ProjectRow, RunRow, TaskRow


async def create_task(  # noqa: PLR0913 - a task's columns, by name
    session: AsyncSession,
    *,
    id: str,
    project: ProjectRow,
    created_by: str,
    prompt: str,
    model: str,
    routing: Routing,
    checks: Sequence[str],
    require: Grade,
    budget: Budget,
    include_dirty: bool,
    priority: Priority = Priority.NORMAL,
) -> TaskRow:
    row = TaskRow(
        id=id,
        organisation_id=project.organisation_id,
        project_id=project.id,
        created_by=created_by,
        prompt=prompt,
        model=model,
        routing=routing.value,
        checks=list(checks),
        require=require.value,
        budget=budget.model_dump(mode="json"),
        include_dirty=include_dirty,
        priority=priority.rank,
        created_at=datetime.now(UTC),
    )
    session.add(row)
    await session.flush()
    return row


async def get_task(session: AsyncSession, organisation_id: str, task_id: str) -> TaskRow:
    """Return a task of this organisation; another's does not exist for the caller."""
    row = await session.get(TaskRow, task_id)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound(f"There is no task {task_id}.")
    return row


async def newest_tasks(
    session: AsyncSession,
    organisation_id: str,
    *,
    limit: int,
    before: tuple[datetime, str] | None = None,
    status: RunStatus | None = None,
) -> list[tuple[TaskRow, RunRow]]:
    """Return tasks with their newest root run, newest first; ``before`` is the last one's time and id."""
    attempt = aliased(RunRow)
    newest_root = (
        select(attempt.id)
        .where(attempt.task_id == TaskRow.id, attempt.parent_run_id.is_(None))
        .order_by(attempt.created_at.desc(), attempt.id)
        .limit(1)
        .correlate(TaskRow)
        .scalar_subquery()
    )
    statement = (
        select(TaskRow, RunRow)
        .join(RunRow, RunRow.id == newest_root)
        .where(TaskRow.organisation_id == organisation_id)
        .order_by(TaskRow.created_at.desc(), TaskRow.id.desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(tuple_(TaskRow.created_at, TaskRow.id) < before)
    if status is not None:
        statement = statement.where(RunRow.status == status.value)
    rows = await session.execute(statement)
    return [(row[0], row[1]) for row in rows]


def to_domain(row: TaskRow) -> Task:
    return Task(
        id=row.id,
        organisation_id=row.organisation_id,
        project_id=row.project_id,
        created_by=row.created_by,
        prompt=row.prompt,
        model=row.model,
        routing=Routing(row.routing),
        checks=[str(check) for check in row.checks],
        require=Grade(row.require),
        budget=Budget.model_validate(row.budget),
        priority=Priority.of_rank(row.priority),
        include_dirty=row.include_dirty,
        created_at=row.created_at,
    )
