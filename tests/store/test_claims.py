"""Claims on a real database: exactly one worker gets a run, and who is held back is told why."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, text
from tests.fixtures.people import person
from tests.fixtures.rows import make_run
from tests.fixtures.runs import add_run

from hypercode.domain.role import AgentRole
from hypercode.domain.steering import Cancel, Verb
from hypercode.events.log import read
from hypercode.runs.control import RunControl
from hypercode.runs.leases import Identity
from hypercode.runs.queue import Claims
from hypercode.settings import RunSettings
from hypercode.store.database import Database
from hypercode.store.queue import enqueue_run
from hypercode.store.runs import child_ended, get_run, update_run

pytestmark = pytest.mark.anyio
ROLES = (AgentRole.ARCHITECT, AgentRole.CODER)


@pytest.fixture
async def alone(own_database_url: str):
    database = Database(own_database_url)
    async with database.transaction() as session:
        await session.execute(text("UPDATE runs SET queued_at = NULL"))
        await session.execute(text("UPDATE run_heads SET worker_id = NULL"))
    yield database
    await database.dispose()


def claims(database: Database, name: str, control: RunControl | None = None, **limits: int) -> Claims:
    return Claims(
        database, control or RunControl(), Identity(name, ROLES), RunSettings.model_validate(limits)
    )


async def claim(of: Claims) -> list[str]:
    return [run.run_id for run in await of._claim()]  # pyright: ignore[reportPrivateUsage]


async def queue(database: Database, run_ids: Sequence[str]) -> None:
    for run_id in run_ids:
        async with database.transaction() as session:
            await enqueue_run(session, await get_run(session, run_id))


async def test_workers_that_claim_at_the_same_time_share_the_runs(alone: Database) -> None:
    run_ids = [await make_run(alone) for _ in range(12)]
    await queue(alone, run_ids)
    crew = [claims(alone, f"w{number}", per_worker=3, per_platform=10) for number in range(5)]
    taken = await asyncio.gather(*(claim(each) for each in crew))
    everybody = [run_id for of_one in taken for run_id in of_one]
    assert len(everybody) == len(set(everybody)) == 10
    assert max(len(of_one) for of_one in taken) == 3


async def test_a_run_that_a_limit_holds_says_so_once_and_goes_on_by_itself(alone: Database) -> None:
    first, second = await add_run(alone), None
    second = await add_run(alone, parent=first)
    for run in (first, second):
        async with alone.transaction() as session:
            await update_run(session, run.id, status="queued", parent_run_id=None)
    await queue(alone, [first.id, second.id])
    worker = claims(alone, "w", per_project=1)
    assert await claim(worker) == [first.id]
    assert await claim(worker) == []
    assert await claim(worker) == []
    async with alone.transaction() as session:
        assert (await get_run(session, second.id)).wait_reason == "limit"
        (told,) = await read(session, second.id)
        await update_run(session, first.id, status="waiting")
    assert told.payload["wait_reason"] == "limit"
    assert "this project" in told.payload["detail"]
    # The first one waits for somebody: it takes no room.
    assert await claim(worker) == [second.id]
    async with alone.transaction() as session:
        assert (await get_run(session, second.id)).wait_reason is None


async def test_a_cancelled_run_is_taken_by_a_worker_that_is_full(alone: Database) -> None:
    run_id, control = await make_run(alone), RunControl()
    await queue(alone, [run_id])
    control.begun("another")
    worker = claims(alone, "w", control, per_worker=1)
    assert await claim(worker) == []
    async with alone.transaction() as session:
        # One that no worker ever took up would be ended by the request itself.
        await update_run(session, run_id, started_at=func.now())
        await (await person(session, run_id)).give(await get_run(session, run_id), Cancel(verb=Verb.CANCEL))
    assert await claim(worker) == [run_id]


async def test_an_architect_that_is_parked_goes_on_when_its_last_coder_has_ended(alone: Database) -> None:
    parent = await add_run(alone, AgentRole.ARCHITECT)
    children = [await add_run(alone, parent=parent) for _ in range(2)]
    async with alone.transaction() as session:
        await update_run(
            session, parent.id, status="waiting", wait_reason="children", parked_at=datetime.now(UTC)
        )
    for child, goes_on in zip(children, (False, True), strict=True):
        async with alone.transaction() as session:
            await update_run(session, child.id, status="succeeded", ended_at=datetime.now(UTC))
            await child_ended(session, parent.id)
        async with alone.transaction() as session:
            run = await get_run(session, parent.id)
        assert (run.queued_at is not None, run.segment) == (goes_on, int(goes_on))
    assert await claim(claims(alone, "w")) == [parent.id]


async def test_a_run_whose_segment_broke_ends_with_words_once(alone: Database) -> None:
    run_id = await make_run(alone)
    await queue(alone, [run_id])
    worker = claims(alone, "w")
    (taken,) = await worker._claim()  # pyright: ignore[reportPrivateUsage]
    for _ in range(2):
        await worker._fail(taken)  # pyright: ignore[reportPrivateUsage]
    async with alone.transaction() as session:
        run = await get_run(session, run_id)
        told = [event.type for event in await read(session, run_id)]
        held = await session.scalar(
            text("SELECT worker_id FROM run_heads WHERE run_id = :id"), {"id": run_id}
        )
    assert (run.status, run.error_code, held) == ("failed", "INTERNAL", None)
    assert told.count("run.finished") == 1
