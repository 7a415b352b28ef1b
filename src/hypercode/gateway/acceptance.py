"""Accepting a task: its row, its run, the run's grant, its place in the queue and its first event, in ONE
transaction. Shared by the API and ``hypercode run``; knows no HTTP.
"""

import hashlib
import re

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict, InvalidArgument, PermissionDenied
from hypercode.domain.ids import new_id
from hypercode.domain.role import PersonRole
from hypercode.domain.task import NewTask, Routing
from hypercode.domain.user import User
from hypercode.gateway.routing import route
from hypercode.runs.attempts import begin_attempt
from hypercode.store.models import announced_models, default_model
from hypercode.store.projects import get_project
from hypercode.store.runs import runs_of_task
from hypercode.store.tables import TaskRow
from hypercode.store.tasks import create_task

MODEL_NAME = re.compile(r"builtin/repair|scripted:.+|(openai|anthropic|google|ollama|openai-compatible):\S+")
MODEL_HINT = (
    "Use builtin/repair, openai:NAME, anthropic:NAME, google:NAME, ollama:NAME, openai-compatible:NAME "
    "or scripted:FILE."
)


class Accepted(BaseModel):
    """The task stands, and its run is in the queue."""

    task_id: str
    run_id: str


async def accept_task(
    session: AsyncSession,
    grant_key: str,
    user: User,
    request: NewTask,
    *,
    idempotency_key: str | None = None,
) -> Accepted:
    """Create and enqueue everything in the caller's transaction; the same key gives the same answer."""
    project = await get_project(session, user.organisation_id, request.project_id)
    task_id = new_id("task")
    if idempotency_key is not None:
        task_id = _task_id_of(user.id, idempotency_key)
        known = await _already_accepted(session, task_id, request)
        if known is not None:
            return known
    model = await _checked_model(session, user, request.model)
    chosen = route(request.prompt, request.routing, model)
    task = await create_task(
        session,
        id=task_id,
        project=project,
        created_by=user.id,
        prompt=request.prompt,
        model=model,
        routing=Routing(chosen.role.value),
        checks=request.checks,
        require=request.require,
        budget=request.budget,
        include_dirty=request.include_dirty,
        priority=request.priority,
    )
    run = await begin_attempt(session, grant_key, task, chosen.role, chosen.routed_by)
    return Accepted(task_id=task.id, run_id=run.id)


def _task_id_of(user_id: str, idempotency_key: str) -> str:
    digest = hashlib.sha256(f"{user_id}\0{idempotency_key}".encode()).hexdigest()
    return f"tsk_{digest[:32]}"


async def _already_accepted(session: AsyncSession, task_id: str, request: NewTask) -> Accepted | None:
    # Two requests with one key at the same time: the second waits here for the first to commit.
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:id))"), {"id": task_id})
    task = await session.get(TaskRow, task_id)
    if task is None:
        return None
    if (task.project_id, task.prompt) != (request.project_id, request.prompt):
        raise Conflict(
            "This Idempotency-Key was used for another task.", hint="Send a fresh key for a new task."
        )
    runs = await runs_of_task(session, task_id)
    return Accepted(task_id=task_id, run_id=runs[0].id)


async def _checked_model(session: AsyncSession, user: User, name: str | None) -> str:
    if name is None:
        return await default_model(session)
    if not MODEL_NAME.fullmatch(name):
        raise InvalidArgument(f"{name!r} names no model.", hint=MODEL_HINT)
    if name.startswith("scripted:") and user.role is not PersonRole.ADMIN:
        raise PermissionDenied(
            "Only admins may run a scripted model: it reads a file on the worker's machine.",
            hint="Choose another model.",
        )
    for entry in await announced_models(session):
        if entry.name == name and not entry.available:
            raise InvalidArgument(f"The model {name} can't be used now.", hint=entry.note)
    return name
