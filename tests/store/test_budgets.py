"""The books of budgets under whatever order of calls, kills and top-ups hypothesis thinks of, on real Postgres."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text
from tests.fixtures.rows import make_run

from hypercode.domain.budget import MICRO, NANO, Amount, Budget, Need, Refusal
from hypercode.domain.ids import new_id
from hypercode.domain.role import AgentRole
from hypercode.store import budgets
from hypercode.store.budgets import Held
from hypercode.store.database import Database
from hypercode.store.runs import create_run, get_run

LIMITS = Budget(max_turns=12, max_tokens=1000, max_cost_usd=0.000001, max_wall_s=None, max_cpu_s=0.001)
SHARE = Budget(max_turns=4, max_tokens=500, max_wall_s=None)
AMOUNTS = st.builds(
    Amount,
    turns=st.integers(0, 1),
    tokens=st.integers(0, 150),
    cost_nano=st.integers(0, 200),
    cpu_us=st.integers(0, 200),
)


@dataclass
class Call:
    """A call that somebody believes to be under way."""

    held: Held
    most: Amount


async def make_child(database: Database, parent_id: str, share: Budget | None) -> str:
    async with database.transaction() as session:
        parent = await get_run(session, parent_id)
        child = await create_run(
            session, id=new_id("run"), organisation_id=parent.organisation_id, project_id=parent.project_id,
            task_id=parent.task_id, parent_run_id=parent.id, plan_item_id=new_id("plan"), goal="part", role=AgentRole.CODER,
            model=parent.model, workspace_id=new_id("workspace"), grant_token="",
        )  # fmt: skip
        if share is not None:
            await budgets.give_share(session, child, share)
    return child.id


def scaled(most: Amount, parts: int) -> Amount:
    """Some of the most, in tenths; a turn is a whole one."""
    values = {name: value * parts // 10 for name, value in asdict(most).items()}
    return Amount(**values | {"turns": most.turns if parts else 0})


class Books(RuleBasedStateMachine):
    """Two runs of a task, one with a share; a model of the books beside the real ones."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    database: ClassVar[Database]

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.root = self.do(make_run(self.database, budget=LIMITS.model_dump(mode="json")))
        self.child = self.do(make_child(self.database, self.root, SHARE))
        self.task = self.do(self._task())
        self.used = {self.task: Amount(), self.child: Amount()}
        self.calls: dict[tuple[str, str], Call] = {}
        self.zombies: list[Held] = []

    async def _task(self) -> str:
        async with self.database.transaction() as session:
            return (await get_run(session, self.root)).task_id

    def _accounts(self, run: str) -> list[str]:
        return [self.task] if run == self.root else [self.child, self.task]

    def _count(self, run: str, more: Amount) -> None:
        for account in self._accounts(run):
            self.used[account] = Amount(
                *(
                    a + b
                    for a, b in zip(asdict(self.used[account]).values(), asdict(more).values(), strict=True)
                )
            )

    @rule(child=st.booleans(), number=st.integers(0, 3), most=AMOUNTS, adopt=st.booleans())
    def reserve(self, child: bool, number: int, most: Amount, adopt: bool) -> None:
        run, key = self.child if child else self.root, f"call:{number}"
        answer = self.do(self._reserve(run, key, most, adopt))
        before = self.calls.get((run, key))
        if before is not None:
            self.zombies.append(before.held)
            if adopt:
                assert isinstance(answer, Held)
                self.calls[run, key] = Call(answer, before.most)
                return
            # What was cut off is counted at its worst, whether the repeat fits or not.
            self._count(run, before.most)
            del self.calls[run, key]
        held = isinstance(answer, Held)
        assert held == all(self._fits(account, most) for account in self._accounts(run))
        if isinstance(answer, Held):
            self.calls[run, key] = Call(answer, most)
        else:
            alone = all(self._fits(account, most, reserved=False) for account in self._accounts(run))
            # One account's refusal is told; it is for good when that account alone says so.
            assert alone is False or not answer.for_good

    def _fits(self, account: str, most: Amount, *, reserved: bool = True) -> bool:
        limits = LIMITS if account == self.task else SHARE
        held = (
            [call.most for (run, _), call in self.calls.items() if account in self._accounts(run)]
            if reserved
            else []
        )
        bounds = {
            "turns": limits.max_turns,
            "tokens": limits.max_tokens,
            "cost_nano": None if limits.max_cost_usd is None else limits.max_cost_usd * NANO,
            "cpu_us": None if limits.max_cpu_s is None else limits.max_cpu_s * MICRO,
        }
        return all(
            bound is None
            or getattr(most, name) == 0
            or sum(getattr(each, name) for each in (self.used[account], most, *held)) <= round(bound)
            for name, bound in bounds.items()
        )

    async def _reserve(self, run: str, key: str, most: Amount, adopt: bool) -> Held | Refusal:
        async with self.database.transaction() as session:
            accounts = await budgets.accounts_of(session, run, self.task)
            assert accounts == sorted(self._accounts(run))
            return await budgets.reserve(session, accounts, run, key, Need(most, 0), adopt=adopt)

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), parts=st.integers(0, 10))
    def settle(self, data: st.DataObject, parts: int) -> None:
        run, key = data.draw(st.sampled_from(sorted(self.calls)))
        call = self.calls.pop((run, key))
        used = scaled(call.most, parts)
        assert self.do(self._settle(call.held, used))
        assert not self.do(self._settle(call.held, used))
        self._count(run, used)

    @precondition(lambda self: self.zombies)
    @rule(data=st.data())
    def a_zombie_settles_nothing(self, data: st.DataObject) -> None:
        assert not self.do(
            self._settle(data.draw(st.sampled_from(self.zombies)), Amount(turns=1, tokens=999))
        )

    async def _settle(self, held: Held, used: Amount) -> bool:
        async with self.database.transaction() as session:
            return await budgets.settle(session, held, used)

    @rule(child=st.booleans())
    def the_run_ends(self, child: bool) -> None:
        run = self.child if child else self.root
        self.do(self._end(run))
        for ended in [name for name in self.calls if name[0] == run]:
            call = self.calls.pop(ended)
            self.zombies.append(call.held)
            self._count(run, call.most)

    async def _end(self, run: str) -> None:
        async with self.database.transaction() as session:
            await budgets.settle_lost(session, run)

    async def _row(self, account: str) -> dict[str, Any]:
        async with self.database.transaction() as session:
            row = (
                (await session.execute(text("SELECT * FROM budgets WHERE id = :id"), {"id": account}))
                .mappings()
                .one_or_none()
            )
        return dict(row) if row else {"cpu_us": 0}

    @invariant()
    def nothing_is_overspent_and_nothing_leaks(self) -> None:
        for account, limits in ((self.task, LIMITS), (self.child, SHARE)):
            row = self.do(self._row(account))
            if "limits" not in row:
                continue
            held = [call.most for (run, _), call in self.calls.items() if account in self._accounts(run)]
            assert row["held"] == len(held)
            for name in budgets.AMOUNTS:
                assert row[name] == getattr(self.used[account], name), name
                assert row[f"held_{name}"] == sum(getattr(most, name) for most in held), name
            assert row["turns"] + row["held_turns"] <= limits.max_turns
            assert row["tokens"] + row["held_tokens"] <= limits.max_tokens
            if limits.max_cost_usd is not None:
                assert row["cost_nano"] + row["held_cost_nano"] <= limits.max_cost_usd * NANO
            if limits.max_cpu_s is not None:
                assert row["cpu_us"] + row["held_cpu_us"] <= limits.max_cpu_s * MICRO


@pytest.fixture
def books(database_url: str) -> Iterator[type[Books]]:
    Books.loop = asyncio.new_event_loop()
    Books.database = Database(database_url)
    yield Books
    Books.loop.run_until_complete(Books.database.dispose())
    Books.loop.close()


def test_used_and_reserved_never_exceed_a_limit(books: type[Books]) -> None:
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        books,
        settings=settings(max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=slow),
    )
