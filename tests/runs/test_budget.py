"""Budgets count a task and all its runs."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.fixtures.rows import make_run

from hypercode.domain.budget import Budget
from hypercode.runs.budget import overrun
from hypercode.store.database import Database
from hypercode.store.runs import get_run, update_run

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("budget", "used", "words"),
    [
        (Budget(max_tokens=100), {"tokens_in": 60, "tokens_out": 39}, None),
        (Budget(max_tokens=100), {"tokens_in": 60, "tokens_out": 40}, "tokens"),
        (Budget(max_cost_usd=1.0), {"cost_usd": 0.99}, None),
        (Budget(max_cost_usd=1.0), {"cost_usd": 1.0}, "cost"),
        (Budget(max_cost_usd=0.0), {"cost_usd": 0.0}, None),
        (Budget(max_cost_usd=0.0), {"cost_usd": 0.01}, "cost"),
        (Budget(max_wall_s=60), {"seconds_ago": 5}, None),
        (Budget(max_wall_s=60), {"seconds_ago": 90}, "seconds"),
        (Budget(max_wall_s=60), {"seconds_ago": 90, "waited_s": 40.0}, None),
    ],
)
async def test_the_limit_that_is_reached_is_named(
    database: Database, budget: Budget, used: dict[str, object], words: str | None
) -> None:
    run_id = await make_run(database)
    used = dict(used)
    if "seconds_ago" in used:
        used["started_at"] = datetime.now(UTC) - timedelta(seconds=float(str(used.pop("seconds_ago"))))
    async with database.transaction() as session:
        await update_run(session, run_id, **used)
        run = await get_run(session, run_id)
        reached = await overrun(session, run.task_id, budget)
    assert (words is None and reached is None) or (words is not None and words in (reached or ""))
