"""The fence: what a worker writes for a run that it no longer holds is rolled back, whatever it writes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.fixtures.rows import make_run

from hypercode.domain.event import ToolCallProgressed
from hypercode.events import log
from hypercode.store.database import Database
from hypercode.store.ownership import LeaseLost, Owner
from hypercode.store.queue import release_run
from hypercode.store.runs import get_run, update_run
from hypercode.store.tables import JournalRow, RunHeadRow, RunRow

pytestmark = pytest.mark.anyio
SAID = ToolCallProgressed(call_id="1", message="m")
Write = Callable[[AsyncSession, str], Awaitable[object]]


async def append(session: AsyncSession, run_id: str) -> None:
    await log.append(session, run_id, "step", [SAID])


async def column(session: AsyncSession, run_id: str) -> None:
    await update_run(session, run_id, turns=7)


async def attribute(session: AsyncSession, run_id: str) -> None:
    (await get_run(session, run_id)).turns = 7


async def journal(session: AsyncSession, run_id: str) -> None:
    run = await get_run(session, run_id)
    session.add(
        JournalRow(run_id=run_id, key="k", organisation_id=run.organisation_id, project_id=run.project_id, tool="model",
                   arguments_sha256="", state="done", owner="worker")
    )  # fmt: skip


async def hold(database: Database, run_id: str, worker_id: str | None) -> None:
    async with database.transaction() as session:
        await session.merge(RunHeadRow(run_id=run_id, seq=0, worker_id=worker_id))


async def what_stands(database: Database, run_id: str) -> tuple[int, int, int]:
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        events = await log.read(session, run_id)
        entries = (await session.scalars(select(JournalRow).where(JournalRow.run_id == run_id))).all()
    return run.turns, len(events), len(entries)


@pytest.mark.parametrize("write", [append, column, attribute, journal])
async def test_who_does_not_hold_the_run_writes_nothing(database: Database, write: Write) -> None:
    run_id = await make_run(database)
    owned = database.owned(Owner(run_id, "mine"))
    await hold(database, run_id, "mine")
    async with owned.transaction() as session:
        await write(session, run_id)
    before = await what_stands(database, run_id)
    assert sum(before[:2]) + before[2] > 0
    for other in ("another", None):
        await hold(database, run_id, other)
        with pytest.raises(LeaseLost):
            async with owned.transaction() as session:
                await session.execute(update(RunRow).where(RunRow.id == run_id).values(segment=9))
        with pytest.raises(LeaseLost):
            await log.append_alone(owned, run_id, f"late {other}", [SAID])
    assert await what_stands(database, run_id) == before


async def test_reading_and_the_writes_of_others_are_not_held_up(database: Database) -> None:
    run_id = await make_run(database)
    await hold(database, run_id, "another")
    async with database.owned(Owner(run_id, "mine")).transaction() as session:
        assert (await get_run(session, run_id)).turns == 0
    async with database.transaction() as session:
        await append(session, run_id)
    assert await log.append_alone(database, run_id, "more", [SAID]) == 2


async def test_a_takeover_waits_for_an_append_that_is_under_way(database: Database) -> None:
    run_id = await make_run(database)
    await hold(database, run_id, "mine")

    async def take_over() -> None:
        async with database.transaction() as session:
            assert await release_run(session, run_id, "mine") is not None

    async with database.owned(Owner(run_id, "mine")).transaction() as session:
        await append(session, run_id)
        taking = asyncio.create_task(take_over())
        # It can't be done before this transaction is: the append has locked the row.
        done, _ = await asyncio.wait([taking], timeout=0.2)
        assert not done
    await taking
    assert (await what_stands(database, run_id))[1] == 1
    async with database.transaction() as session:
        assert await release_run(session, run_id, "mine") is None
        run = await get_run(session, run_id)
    assert (run.segment, run.queued_at is not None) == (1, True)
