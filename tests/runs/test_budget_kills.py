"""Fifty children of one task spend side by side while the processes that they run on are killed: overspend 0, leaks 0."""

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.fixtures.rows import make_run
from tests.runs.spender import MOST_IN, MOST_NANO, MOST_OUT
from tests.store.test_budgets import make_child

from hypercode.domain.budget import NANO, Budget
from hypercode.store.budgets import task_budget
from hypercode.store.database import Database
from hypercode.store.runs import get_run, get_task_of

pytestmark = pytest.mark.anyio
CHILDREN = 50
PROCESSES = 2
KILLS = int(os.environ.get("HYPERCODE_BUDGET_KILLS", "2"))
# Room for every kill to lose all calls that its process has under way.
TOKENS = 25_000 + KILLS * 26_000
DOLLARS = 5.0


class Spenders:
    """Processes with a part of the runs each; one that is killed is started again with the same runs."""

    def __init__(self, url: str, directory: Path, runs: list[str], task_id: str) -> None:
        self._url, self._directory, self._task_id = url, directory, task_id
        self._parts = [runs[number::PROCESSES] for number in range(PROCESSES)]
        self.processes: list[asyncio.subprocess.Process] = []

    async def start(self, number: int) -> asyncio.subprocess.Process:
        pairs = [f"{run_id}:{self._task_id}" for run_id in self._parts[number]]
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.runs.spender", self._url, str(self._directory), *pairs
        )

    async def kill_now_and_then(self, kills: int) -> int:
        """Kill one of them ``kills`` times, each once it has spent something since the last; return how many were."""
        self.processes = [await self.start(number) for number in range(PROCESSES)]
        killed = 0
        dice = random.Random(5)
        while killed < kills:
            before = self.served()
            more = dice.randint(3, 25)
            while self.served() < before + more:
                if all(process.returncode is not None for process in self.processes):
                    return killed
                await asyncio.sleep(0.01)
            number = dice.randrange(PROCESSES)
            process = self.processes[number]
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
                await process.wait()
                killed += 1
                self.processes[number] = await self.start(number)
        return killed

    async def end(self) -> None:
        assert [await process.wait() for process in self.processes] == [0] * PROCESSES

    def served(self) -> int:
        path = self._directory / "served"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def paid(self) -> tuple[int, int, int]:
        """Calls, tokens and billionths of dollars that the provider served."""
        lines = [line.split() for line in (self._directory / "served").read_text().splitlines()]
        return len(lines), sum(int(line[1]) for line in lines), sum(int(line[2]) for line in lines)


@pytest.mark.promise(2)
async def test_children_that_are_killed_overspend_nothing_and_leave_nothing_held(
    database: Database, tmp_path: Path
) -> None:
    limits = Budget(max_turns=None, max_tokens=TOKENS, max_cost_usd=DOLLARS, max_wall_s=None)
    root = await make_run(database, budget=limits.model_dump(mode="json"))
    share = Budget(max_turns=None, max_tokens=9_000, max_wall_s=None)
    children = [await make_child(database, root, share if n % 5 == 0 else None) for n in range(CHILDREN)]
    async with database.transaction() as session:
        task = await get_task_of(session, await get_run(session, root))
    spenders = Spenders(database.url, tmp_path, children, task.id)
    killed = await asyncio.wait_for(spenders.kill_now_and_then(KILLS), 60 + 5 * KILLS)
    await asyncio.wait_for(spenders.end(), 120)

    async with database.transaction() as session:
        budget = await task_budget(session, task)
        shares = (
            await session.execute(
                text("SELECT tokens, held FROM budgets WHERE task_id = :t AND id <> :t"), {"t": task.id}
            )
        ).all()
        held = await session.scalar(
            text("SELECT count(*) FROM budget_lines l JOIN runs r ON r.id = l.run_id WHERE r.task_id = :t"),
            {"t": task.id},
        )
    calls, tokens, nano = spenders.paid()
    lost = budget.used.turns - calls
    print(
        f"{killed} kills, {calls} calls served, {lost} more counted as lost, {tokens} of {TOKENS} tokens served, {budget.used.tokens} counted"
    )
    # What the provider served is counted, a killed call at its worst; and what is counted is never more than the limit.
    assert tokens <= budget.used.tokens <= TOKENS
    assert nano / NANO <= budget.used.cost_usd + 1e-9 <= DOLLARS
    assert lost >= 0
    assert all(spent <= 9_000 and held == 0 for spent, held in shares)
    assert (held, budget.reserved.tokens, budget.reserved.turns) == (0, 0, 0)
    # It was used up: not one more call of the most would have fit.
    assert (
        TOKENS - budget.used.tokens < MOST_IN + MOST_OUT
        or DOLLARS * NANO - budget.used.cost_usd * NANO < MOST_NANO
    )
