"""What a task and all its runs have used, held against its budget before each model call."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.budget import Budget
from hypercode.store.tables import RunRow


async def overrun(session: AsyncSession, task_id: str, budget: Budget) -> str | None:
    """Return in words which limit the task has reached, or None."""
    tokens, cost, began, waited = (
        await session.execute(
            select(
                func.coalesce(func.sum(RunRow.tokens_in + RunRow.tokens_out), 0),
                func.coalesce(func.sum(RunRow.cost_usd), 0.0),
                func.min(RunRow.started_at),
                func.coalesce(func.sum(RunRow.waited_s), 0.0),
            ).where(RunRow.task_id == task_id)
        )
    ).one()
    if budget.max_tokens is not None and tokens >= budget.max_tokens:
        return f"The task has used {tokens} of {budget.max_tokens} tokens."
    # A budget of nothing allows what is free.
    if budget.max_cost_usd is not None and (cost > budget.max_cost_usd or cost == budget.max_cost_usd > 0):
        return f"The task has cost ${cost:.4f} of ${budget.max_cost_usd:.4f}."
    # What people took to answer is not the agent's time.
    elapsed = (datetime.now(UTC) - began).total_seconds() - waited if began else 0.0
    if budget.max_wall_s is not None and elapsed >= budget.max_wall_s:
        return f"The task has run {elapsed:.0f} of {budget.max_wall_s:.0f} seconds."
    return None
