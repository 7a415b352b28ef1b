"""Raising a task's budget, which lets its paused runs go on; and giving up on a pause, by a person or by the clock."""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.budget import MICRO, NANO, Account, Budget, Limits, TaskBudget
from hypercode.domain.errors import Conflict
from hypercode.domain.event import BudgetRaised
from hypercode.events import log
from hypercode.store.budgets import (
    due_pauses,
    get_pause,
    lock_budget,
    pauses_of,
    read_accounts,
    set_limits,
    still_refused,
    task_budget,
)
from hypercode.store.database import Database
from hypercode.store.queue import resume_run
from hypercode.store.runs import locked_run, runs_of_task
from hypercode.store.tables import RunRow, TaskRow

EXPIRED = "Nobody raised the budget in time."


async def top_up(session: AsyncSession, task: TaskRow, new: Limits, by: str) -> TaskBudget:
    """Set new limits, and let the runs go on that they cover; raises Conflict for a limit below what was used."""
    return await _change(session, task, by, lambda account: new.on(account.limits))


async def add_to(session: AsyncSession, task: TaskRow, more: Limits, by: str) -> TaskBudget:
    """Give so much more than the limits, or than what was used where that is more; raises Conflict where is no limit."""

    def added(account: Account) -> Budget:
        named = {name: getattr(more, name) for name in more.model_fields_set}
        used = _used(account)
        for name, by_so_much in named.items():
            limit = getattr(account.limits, name)
            if limit is None:
                raise Conflict(f"{name} has no limit in this task.", hint="There is nothing to top up.")
            named[name] = max(limit, used[name]) + by_so_much
        return Limits.model_validate(named).on(account.limits)

    return await _change(session, task, by, added)


async def _change(
    session: AsyncSession, task: TaskRow, by: str, wanted: Callable[[Account], Budget]
) -> TaskBudget:
    await lock_budget(session, task.id)
    account = (await read_accounts(session, [task.id]))[0]
    limits = wanted(account)
    _check(account, limits)
    await set_limits(session, task.id, limits)
    paused = {pause.run_id: pause for pause in await pauses_of(session, task.id)}
    for run_id in await _told(session, task.id, set(paused)):
        run = await locked_run(session, run_id)
        raised = BudgetRaised(limits=limits, before=account.limits, by=by)
        await log.append(session, run.id, f"budget:{account.revision + 1}:raised", [raised])
        if run_id in paused and not await still_refused(session, paused[run_id]):
            await resume_run(session, run)
    return await task_budget(session, task)


async def give_up(session: AsyncSession, task_id: str, *, because: str = "") -> int:
    """End the paused runs of a task: each goes on only to keep its diff and say that its budget was used up."""
    run_ids = sorted(pause.run_id for pause in await pauses_of(session, task_id))
    for run_id in run_ids:
        await _give_up(session, await locked_run(session, run_id), because)
    return len(run_ids)


async def expire_pauses(database: Database) -> int:
    """End the runs that nobody topped up in time; return how many."""
    async with database.transaction() as session:
        due = [row.run_id for row in await due_pauses(session, datetime.now(UTC))]
    for run_id in due:
        async with database.transaction() as session:
            await _give_up(session, await locked_run(session, run_id), EXPIRED)
    return len(due)


async def _give_up(session: AsyncSession, run: RunRow, because: str) -> None:
    pause = await get_pause(session, run.id)
    if pause is None or pause.given_up:
        return
    pause.given_up, pause.message = True, f"{pause.message} {because}".strip()
    await resume_run(session, run)


async def _told(session: AsyncSession, task_id: str, paused: set[str]) -> list[str]:
    """The runs whose log says that the budget was raised: those that wait, and the task's own; in one order for all."""
    runs = await runs_of_task(session, task_id)
    roots = [run for run in runs if run.parent_run_id is None]
    live = [run.id for run in roots if run.ended_at is None]
    return sorted({*paused, *(live or [run.id for run in roots[-1:]])})


def _used(account: Account) -> dict[str, float | int]:
    """What is used or held, by the name of its limit."""
    used, held = account.used, account.reserved
    return {
        "max_turns": used.turns + held.turns,
        "max_tokens": used.tokens + held.tokens,
        "max_cost_usd": (used.cost_nano + held.cost_nano) / NANO,
        "max_wall_s": account.elapsed_us / MICRO,
        "max_cpu_s": (used.cpu_us + held.cpu_us) / MICRO,
    }


def _check(account: Account, limits: Budget) -> None:
    for name, used in _used(account).items():
        limit = getattr(limits, name)
        if limit is not None and limit < used:
            raise Conflict(
                f"{name} can't be {limit:g}: {used:g} is used, or held for calls under way.",
                hint="A budget is never set below what was used.",
            )
