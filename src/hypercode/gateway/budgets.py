"""A task's budget: where it stands, and raising it."""

from fastapi import APIRouter

from hypercode.domain.budget import Limits, TaskBudget
from hypercode.gateway.deps import CurrentCaller, DbSession, require_maintainer
from hypercode.runs.top_up import top_up
from hypercode.store.budgets import task_budget
from hypercode.store.tasks import get_task

router = APIRouter(prefix="/tasks/{task_id}/budget", tags=["tasks"])


@router.get("")
async def get_task_budget(task_id: str, caller: CurrentCaller, session: DbSession) -> TaskBudget:
    """Limits, what was used, what is held for calls under way, and the runs that wait for a top-up."""
    return await task_budget(session, await get_task(session, caller.user.organisation_id, task_id))


@router.post("")
async def set_task_budget(
    task_id: str, body: Limits, caller: CurrentCaller, session: DbSession
) -> TaskBudget:
    """Set new limits; paused runs that they cover go on. A limit below what was used answers 409."""
    task = await get_task(session, caller.user.organisation_id, task_id)
    if task.created_by != caller.user.id:
        require_maintainer(caller, "change the budget of somebody else's task")
    return await top_up(session, task, body, caller.user.name)
