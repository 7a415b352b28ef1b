"""A run that its budget does not cover is paused, goes on when the budget was raised, and ends when nobody raises it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import text
from tests.fixtures.people import person
from tests.fixtures.rows import make_run

from hypercode.agents.intent import CpuReading, ToolOutcome
from hypercode.domain.budget import MICRO, Amount, Budget, Limits, Need
from hypercode.domain.errors import BudgetExceeded, Cancelled, Conflict
from hypercode.domain.steering import Cancel, CommandState, Verb
from hypercode.events import log
from hypercode.llm.base import ModelReply, RequestedCall, ToolSpec
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.files import BUILT_IN
from hypercode.runs.budget import Purse, Stopped, Why, tool_need
from hypercode.runs.services import Services
from hypercode.runs.top_up import add_to, expire_pauses, give_up, top_up
from hypercode.runs.waiting import Park, Waiting
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.budgets import Held, settle_lost, task_budget
from hypercode.store.database import Database
from hypercode.store.runs import get_run, get_task_of
from hypercode.store.tables import BudgetPauseRow
from hypercode.verification.client import VerifierClient

pytestmark = pytest.mark.anyio
ROUNDS = 10
TURN = Need(Amount(turns=1, tokens=100), 1 * MICRO)
REPLY = ModelReply(text="ok", model="m", tokens_in=30, tokens_out=20, cost_usd=0.0)


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    return Services(
        settings=Settings(data_dir=tmp_path),
        database=database,
        artifacts=ArtifactStore(tmp_path),
        platform=cast(PlatformClient, None),
        verifier=cast(VerifierClient, None),
        policy=BUILT_IN,
    )


async def purse_of(services: Services, **limits: float) -> tuple[Purse, str]:
    run_id = await make_run(services.database, budget=Budget(**limits).model_dump(mode="json"))  # pyright: ignore[reportArgumentType]
    return await purse_for(services, run_id), run_id


async def purse_for(services: Services, run_id: str) -> Purse:
    async with services.database.transaction() as session:
        return Purse(services, run_id, (await get_run(session, run_id)).task_id)


async def reserve(services: Services, purse: Purse, key: str, need: Need = TURN) -> Held | Stopped:
    async with services.database.transaction() as session:
        return await purse.reserve(session, key, need)


async def spend(services: Services, purse: Purse, key: str, need: Need = TURN) -> None:
    held = await reserve(services, purse, key, need)
    assert isinstance(held, Held)
    async with services.database.transaction() as session:
        await purse.settle_reply(session, held, REPLY)


async def events(database: Database, run_id: str) -> list[tuple[str, dict[str, object]]]:
    async with database.transaction() as session:
        return [(event.type, event.payload) for event in await log.read(session, run_id)]


async def raise_to(database: Database, run_id: str, **limits: object) -> None:
    async with database.transaction() as session:
        task = await get_task_of(session, await get_run(session, run_id))
        await top_up(session, task, Limits.model_validate(limits), "somebody")


async def test_a_run_pauses_with_what_was_used_and_goes_on_when_topped_up(services: Services) -> None:
    database = services.database
    purse, run_id = await purse_of(services, max_turns=2)
    for turn in (1, 2):
        await spend(services, purse, f"model:{turn}")
    stopped = await reserve(services, purse, "model:3")
    assert stopped == Stopped(Why.PAUSED, "The task has used 2 of 2 turns.")
    with pytest.raises(Park):
        await purse.granted(stopped)
    assert await Waiting(services, run_id, 0).park()
    # A step that is repeated after a kill says nothing twice.
    assert (await reserve(services, purse, "model:3")) == stopped
    types = [type_ for type_, _ in await events(database, run_id)]
    assert types == ["run.status_changed", "budget.reached"]
    told = (await events(database, run_id))[1][1]
    assert (told["limit"], told["limits"]["max_turns"], told["used"]["turns"]) == ("turns", 2, 2)  # pyright: ignore[reportIndexIssue]
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        assert (run.status, run.wait_reason, run.parked_at is not None) == ("waiting", "budget", True)
        budget = await task_budget(session, await get_task_of(session, run))
    assert [pause.run_id for pause in budget.paused] == [run_id]
    assert (budget.used.turns, budget.used.tokens, budget.reserved.turns) == (2, 100, 0)

    await raise_to(database, run_id, max_turns=3)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
    assert (run.parked_at, run.segment) == (None, 1)
    await spend(services, await purse_for(services, run_id), "model:3")
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        assert (run.status, run.wait_reason) == ("running", None)
        assert await session.get(BudgetPauseRow, run_id) is None
    raised, going = (await events(database, run_id))[2:]
    assert (raised[0], raised[1]["by"]) == ("budget.raised", "somebody")
    assert going[1]["status"] == "running"


async def test_a_top_up_that_is_not_enough_lets_nothing_go_on(services: Services) -> None:
    purse, run_id = await purse_of(services, max_tokens=120, max_turns=50)
    await spend(services, purse, "model:1")
    assert isinstance(await reserve(services, purse, "model:2"), Stopped)
    assert await Waiting(services, run_id, 0).park()
    await raise_to(services.database, run_id, max_turns=60)
    await raise_to(services.database, run_id, max_tokens=149)
    async with services.database.transaction() as session:
        assert (await get_run(session, run_id)).segment == 0
    with pytest.raises(Conflict):  # 50 are used
        await raise_to(services.database, run_id, max_tokens=49)
    await raise_to(services.database, run_id, max_tokens=None)
    async with services.database.transaction() as session:
        assert (await get_run(session, run_id)).segment == 1


async def test_more_is_added_to_the_limit_and_never_to_none(services: Services) -> None:
    purse, run_id = await purse_of(services, max_turns=1)
    await spend(services, purse, "model:1")
    async with services.database.transaction() as session:
        task = await get_task_of(session, await get_run(session, run_id))
        budget = await add_to(session, task, Limits(max_turns=4), "me")
        assert budget.limits.max_turns == 5
        with pytest.raises(Conflict):
            await add_to(session, task, Limits(max_tokens=4), "me")


async def test_a_top_up_and_a_park_at_the_same_time(services: Services) -> None:
    purse, run_id = await purse_of(services, max_turns=1)
    await spend(services, purse, "model:0")
    segment = 0
    for number in range(1, ROUNDS):
        assert isinstance(await reserve(services, purse, f"model:{number}"), Stopped)
        parked, _ = await asyncio.gather(
            Waiting(services, run_id, segment).park(),
            raise_to(services.database, run_id, max_turns=number + 1),
        )
        segment += parked
        async with services.database.transaction() as session:
            run = await get_run(session, run_id)
        # Either the worker keeps the run, or the next segment has it; never both, never neither.
        assert (run.segment, run.parked_at) == (segment, None)
        await spend(services, purse, f"model:{number}")


@pytest.mark.parametrize("how", ["given up", "expired"])
async def test_a_run_that_nobody_tops_up_ends(services: Services, how: str) -> None:
    purse, run_id = await purse_of(services, max_turns=1)
    await spend(services, purse, "model:1")
    await reserve(services, purse, "model:2")
    assert await Waiting(services, run_id, 0).park()
    async with services.database.transaction() as session:
        task_id = (await get_run(session, run_id)).task_id
        if how == "given up":
            assert await give_up(session, task_id) == 1
        else:
            past = datetime.now(UTC) - timedelta(seconds=1)
            await session.execute(text("UPDATE budget_pauses SET expires_at = :at WHERE run_id = :id"), {"at": past, "id": run_id})  # fmt: skip
    if how == "expired":
        assert await expire_pauses(services.database) >= 1
    async with services.database.transaction() as session:
        assert (await get_run(session, run_id)).segment == 1
    stopped = await reserve(services, purse, "model:2")
    with pytest.raises(BudgetExceeded, match="1 of 1 turns"):
        await purse.granted(stopped)


async def test_a_cancel_of_a_paused_run_is_seen(services: Services) -> None:
    purse, run_id = await purse_of(services, max_turns=1)
    await spend(services, purse, "model:1")
    await reserve(services, purse, "model:2")
    assert await Waiting(services, run_id, 0).park()
    async with services.database.transaction() as session:
        cancel = await (await person(session, run_id)).give(
            await get_run(session, run_id), Cancel(verb=Verb.CANCEL)
        )
        assert cancel.state is not CommandState.REFUSED
    with pytest.raises(Cancelled):
        await purse.granted(await reserve(services, purse, "model:2"))


async def test_a_killed_model_call_is_counted_and_asked_again(services: Services) -> None:
    purse, run_id = await purse_of(services, max_turns=3)
    await reserve(services, purse, "model:1")
    again = await purse_for(services, run_id)
    await spend(services, again, "model:1")
    async with services.database.transaction() as session:
        budget = await task_budget(session, await get_task_of(session, await get_run(session, run_id)))
    assert (budget.used.turns, budget.used.tokens) == (2, 150)  # 100 at worst, then 50 as counted
    assert [payload["code"] for type_, payload in await events(services.database, run_id) if type_ == "notice.raised"] == ["MODEL_CALL_LOST"]  # fmt: skip


async def test_what_others_hold_is_waited_for_and_no_reason_to_pause(services: Services) -> None:
    purse, _ = await purse_of(services, max_tokens=150)
    held = await reserve(services, purse, "model:1")
    assert isinstance(held, Held)
    waiting = asyncio.create_task(purse.take("model:2", TURN))
    async with services.database.transaction() as session:
        await purse.settle_reply(session, held, REPLY)
    assert (await waiting).key == "model:2"


async def test_books_whose_opening_was_rolled_back_are_opened_again(services: Services) -> None:
    purse, _ = await purse_of(services, max_turns=1)
    with pytest.raises(ZeroDivisionError):
        async with services.database.transaction() as session:
            await purse.reserve(session, "model:1", TURN)
            raise ZeroDivisionError
    await spend(services, purse, "model:1")


async def test_a_free_call_passes_a_budget_of_nothing_and_an_unpriced_one_does_not(
    services: Services,
) -> None:
    purse, _ = await purse_of(services, max_cost_usd=0.0)
    await spend(services, purse, "model:1")
    unpriced = replace(TURN, most=Amount(turns=1, unpriced=1))
    stopped = await reserve(services, purse, "model:2", unpriced)
    assert isinstance(stopped, Stopped)
    assert "nobody knows" in stopped.message


async def test_the_clock_runs_while_a_call_is_under_way_and_not_beyond_its_limit(services: Services) -> None:
    purse, run_id = await purse_of(services, max_wall_s=30)
    held = await reserve(services, purse, "model:1", Need(Amount(turns=1), 20 * MICRO))
    assert isinstance(held, Held)
    async with services.database.transaction() as session:
        # As if the worker had died an hour ago: the call could last 20 s at most.
        await session.execute(text("UPDATE budgets SET clock_since = clock_since - interval '1 hour', clock_until = clock_until - interval '1 hour'"))  # fmt: skip
        await purse.settle_reply(session, held, REPLY)
        budget = await task_budget(session, await get_task_of(session, await get_run(session, run_id)))
    assert budget.used.wall_s == pytest.approx(20, abs=0.01)
    async with services.database.transaction() as session:
        await session.execute(text("UPDATE budgets SET wall_us = 30000000 WHERE wall_us = 20000000"))
    stopped = await reserve(services, purse, "model:2")
    assert isinstance(stopped, Stopped)
    assert "30 of 30 seconds" in stopped.message


async def test_cpu_time_is_counted_by_what_the_sandbox_adds_to_its_whole(services: Services) -> None:
    purse, run_id = await purse_of(services, max_cpu_s=100)

    async def call(key: str, sandbox: str, whole_s: float) -> float:
        need = Need(Amount(cpu_us=10 * MICRO), MICRO)
        held = await purse.take(key, need, adopt=True)
        outcome = ToolOutcome(
            ok=True, code="OK", text="", cpu=CpuReading(sandbox=sandbox, whole_us=round(whole_s * MICRO))
        )
        async with services.database.transaction() as session:
            await purse.settle_tool(session, held, need, outcome)
            return (
                await task_budget(session, await get_task_of(session, await get_run(session, run_id)))
            ).used.cpu_s

    assert await call("tool:1.0", "a", 2.5) == 2.5
    assert await call("tool:1.1", "a", 4.0) == 4.0
    assert await call("tool:1.1", "a", 3.0) == 4.0  # an old result, from the journal
    assert await call("tool:2.0", "b", 1.0) == 5.0  # another container, from nothing


def test_the_most_a_tool_can_take_is_all_cores_for_as_long_as_it_may_last() -> None:
    settings = Settings()
    parameters = {"properties": {"timeout_s": {"default": 120.0, "maximum": 900.0}}}
    specs = {"sh_exec": ToolSpec(name="sh_exec", description="", parameters=parameters)}

    def seconds(tool: str, **arguments: object) -> float:
        need = tool_need(RequestedCall(id="1", tool=tool, arguments=arguments), specs, settings)
        assert need.most.cpu_us == need.wall_us * settings.sandbox.cpus
        return need.wall_us / MICRO

    assert [seconds("sh_exec"), seconds("sh_exec", timeout_s=7), seconds("sh_exec", timeout_s=9e9)] == [
        120,
        7,
        900,
    ]
    assert [seconds("sh_exec", timeout_s="x"), seconds("sh_exec", timeout_s=-1), seconds("fs_read")] == [
        120,
        120,
        120,
    ]


async def test_a_run_that_has_ended_holds_nothing(services: Services) -> None:
    purse, run_id = await purse_of(services, max_turns=5)
    for key in ("model:1", "model:2"):
        await reserve(services, purse, key)
    async with services.database.transaction() as session:
        assert await settle_lost(session, run_id)
        assert not await settle_lost(session, run_id)
        budget = await task_budget(session, await get_task_of(session, await get_run(session, run_id)))
    assert (budget.used.turns, budget.reserved.turns) == (2, 0)
