"""kill -9 of the tools process at random moments, round after round: the books stay exact and no effect comes twice.

`make chaos` makes 200 rounds; `make test` a few. The seed is printed, so that a round can be repeated.
"""

import itertools
import os
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from tests.tools.killing import server

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import Unavailable
from hypercode.store.audit import read_audit, verify_chain
from hypercode.store.database import Database

pytestmark = pytest.mark.anyio

ROUNDS = int(os.environ.get("HYPERCODE_KILL_ROUNDS", "3"))
CALLERS = 4
LATEST_ANSWER = 12
LATEST_KILL_S = 0.01


class Callers:
    """Calls that are made until they have an outcome, whatever is killed; each has a key of its own."""

    def __init__(self, path: Path, token: str) -> None:
        self._path, self._token = path, token
        self._numbers = itertools.count()
        self._open: list[tuple[str, str]] = []
        self._answered = anyio.Event()
        self._answers_left = 0
        self.outcomes: dict[str, str] = {}

    async def until_killed(self, process: Process, answers: int, then_s: float) -> None:
        """Call side by side, those first that a kill left without an answer; kill the server some time after an answer."""
        left, self._open = self._open, []
        self._answered, self._answers_left = anyio.Event(), answers
        async with anyio.create_task_group() as group:
            for who in range(CALLERS):
                group.start_soon(self._keep_calling, left[who::CALLERS])
            await self._answered.wait()
            await anyio.sleep(then_s)  # the random moment itself, not a wait for anything
            os.kill(process.pid, signal.SIGKILL)

    async def finish(self) -> None:
        """Ask once more for what is still open."""
        left, self._open = self._open, []
        async with ToolSession(self._path, self._token) as tools:
            for tool, key in left:
                await self._call(tools, tool, key)
        assert not self._open

    async def _keep_calling(self, left: list[tuple[str, str]]) -> None:
        try:
            async with ToolSession(self._path, self._token) as tools:
                while True:
                    tool, key = left.pop() if left else self._fresh()
                    await self._call(tools, tool, key)
        except Unavailable:
            self._open += left

    async def _call(self, tools: ToolSession, tool: str, key: str) -> None:
        self._open.append((tool, key))
        outcome = await tools.call(tool, {"mark": key}, key=key)
        self._open.remove((tool, key))
        self.outcomes[key] = outcome.code
        self._answers_left -= 1
        if self._answers_left <= 0:
            self._answered.set()

    def _fresh(self) -> tuple[str, str]:
        number = next(self._numbers)
        tool = ("fs_write", "fs_read")[number % 2]
        return tool, f"{tool}-{number}"


async def test_kills_at_random_moments_leave_exact_books_and_no_effect_twice(
    database: Database, minting: Any, new_run: Any, sockets: Path
) -> None:
    seed = int(os.environ.get("HYPERCODE_KILL_SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    run = await new_run()
    callers = Callers(sockets / "tools.sock", minting.token(run))
    with anyio.fail_after(60 + 10 * ROUNDS):
        for _ in range(ROUNDS):
            async with server(database, minting.public_hex, sockets, tools="marks") as process:
                await callers.until_killed(
                    process, chance.randint(1, LATEST_ANSWER), chance.uniform(0.0, LATEST_KILL_S)
                )
        async with server(database, minting.public_hex, sockets, tools="marks"):
            await callers.finish()
    codes = Counter(callers.outcomes.values())
    print(f"seed {seed}: {ROUNDS} kills, {len(callers.outcomes)} calls, {dict(codes)}")
    await exact_books(database, run.id)
    no_effect_twice(sockets / "marks", callers.outcomes)


async def exact_books(database: Database, run_id: str) -> None:
    async with database.transaction() as session:
        rows = await read_audit(session, run_id)
        assert (await verify_chain(session, run_id)).ok
    kinds = Counter((row.call_id, row.kind) for row in rows)
    assert set(kinds.values()) == {1}
    decided = {call_id for call_id, kind in kinds if kind == "decision"}
    assert decided == {call_id for call_id, kind in kinds if kind == "outcome"}
    order = {(row.call_id, row.kind): row.seq for row in rows}
    assert all(order[call_id, "decision"] < order[call_id, "outcome"] for call_id in decided)


def no_effect_twice(marks: Path, outcomes: dict[str, str]) -> None:
    effects = Counter(marks.read_text().split())
    writes = {key: code for key, code in outcomes.items() if key.startswith("fs_write")}
    assert {key: count for key, count in effects.items() if count > 1} == {}
    assert set(writes.values()) <= {"OK", "UNCERTAIN"}
    # Whoever was told OK has its effect; UNCERTAIN may have it or not.
    assert {key for key, code in writes.items() if code == "OK"} <= set(effects)
    assert set(effects) <= set(writes)
    reads = {code for key, code in outcomes.items() if key.startswith("fs_read")}
    assert reads == {"OK"}
