"""Tasks: what people ask for."""

from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel

from hypercode.domain.budget import TaskBudget
from hypercode.domain.project import Project
from hypercode.domain.run import Run, RunStatus
from hypercode.domain.task import NewTask, Task
from hypercode.gateway.acceptance import Accepted, accept_task
from hypercode.gateway.cursors import cursor_of, read_cursor
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.runs.attempts import read_grant_key
from hypercode.store import projects, runs, tasks
from hypercode.store.budgets import task_budget

router = APIRouter(prefix="/tasks", tags=["tasks"])


class TaskSummary(BaseModel):
    """A task with its newest root run."""

    task: Task
    run: Run


class TaskPage(BaseModel):
    """Newest first; ``next_cursor`` is null on the last page."""

    items: list[TaskSummary]
    next_cursor: str | None


class TaskDetail(BaseModel):
    """A task, its project, where its budget stands, and all its runs, oldest first."""

    task: Task
    budget: TaskBudget
    project: Project
    runs: list[Run]


@router.post("", status_code=202)
async def create_task(
    body: NewTask,
    caller: CurrentCaller,
    parts: AppParts,
    session: DbSession,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> Accepted:
    """Accept a task: when this answers, its run stands in the queue."""
    grant_key = read_grant_key(parts.settings.keys_dir)
    return await accept_task(session, grant_key, caller.user, body, idempotency_key=idempotency_key)


@router.get("")
async def list_tasks(
    caller: CurrentCaller,
    session: DbSession,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    status: RunStatus | None = None,
) -> TaskPage:
    before = read_cursor(cursor)
    found = await tasks.newest_tasks(
        session, caller.user.organisation_id, limit=limit + 1, before=before, status=status
    )
    shown = found[:limit]
    return TaskPage(
        items=[TaskSummary(task=tasks.to_domain(task), run=runs.to_domain(run)) for task, run in shown],
        next_cursor=cursor_of(shown[-1][0].created_at, shown[-1][0].id) if len(found) > limit else None,
    )


@router.get("/{task_id}")
async def get_task(task_id: str, caller: CurrentCaller, session: DbSession) -> TaskDetail:
    row = await tasks.get_task(session, caller.user.organisation_id, task_id)
    project = await projects.get_project(session, caller.user.organisation_id, row.project_id)
    return TaskDetail(
        task=tasks.to_domain(row),
        budget=await task_budget(session, row),
        project=projects.to_domain(project),
        runs=[runs.to_domain(run) for run in await runs.runs_of_task(session, task_id)],
    )
