"""The event log under many writers, repeats and watchers."""

import anyio
import pytest
from tests.fixtures.rows import make_run

from hypercode.domain.errors import NotFound
from hypercode.domain.event import Event, NoticeRaised
from hypercode.events import log
from hypercode.events.live import LiveEvents
from hypercode.events.wake_ups import wake_ups
from hypercode.store.channels import RUN_EVENTS
from hypercode.store.database import Database
from hypercode.store.runs import get_run

pytestmark = pytest.mark.anyio


def notice(text: str) -> NoticeRaised:
    return NoticeRaised(level="info", code="TEST", message=text, hint="")


async def write(database: Database, run_id: str, step: str, *texts: str) -> int:
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        return await log.append(session, run.id, step, [notice(text) for text in texts])


async def all_of(database: Database, run_id: str) -> list[Event]:
    async with database.transaction() as session:
        return await log.read(session, run_id)


async def test_a_repeated_step_appends_nothing(database: Database) -> None:
    run_id = await make_run(database)
    first = await write(database, run_id, "step", "a", "b")
    again = await write(database, run_id, "step", "a", "b")
    assert (first, again) == (2, 2)
    assert [event.payload["message"] for event in await all_of(database, run_id)] == ["a", "b"]


async def test_a_step_killed_between_two_appends_goes_on_where_it_was(database: Database) -> None:
    run_id = await make_run(database)
    await write(database, run_id, "step", "a")
    await write(database, run_id, "step", "a", "b")
    assert [event.payload["message"] for event in await all_of(database, run_id)] == ["a", "b"]


async def test_alone_is_the_same_in_one_trip(database: Database) -> None:
    run_id = await make_run(database)
    payloads = [notice("a"), notice("b")]
    assert await log.append_alone(database, run_id, "step", payloads[:1]) == 1
    assert await log.append_alone(database, run_id, "step", payloads) == 2
    assert await log.append_alone(database, run_id, "step", payloads) == 2
    assert [event.payload["message"] for event in await all_of(database, run_id)] == ["a", "b"]
    with pytest.raises(NotFound):
        await log.append_alone(database, "run_none", "step", payloads)


async def test_many_writers_leave_no_gap(database: Database) -> None:
    run_id = await make_run(database)

    async def writer(number: int) -> None:
        for n in range(10):
            await write(database, run_id, f"{number}.{n}", "x", "y")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(writer, number)
    assert [event.seq for event in await all_of(database, run_id)] == list(range(1, 161))


async def test_a_rolled_back_append_leaves_no_gap(database: Database) -> None:
    run_id = await make_run(database)
    with pytest.raises(RuntimeError, match="killed"):
        async with database.transaction() as session:
            await log.append(session, run_id, "lost", [notice("lost")])
            raise RuntimeError("killed")
    await write(database, run_id, "kept", "kept")
    assert [(event.seq, event.payload["message"]) for event in await all_of(database, run_id)] == [
        (1, "kept")
    ]


async def test_each_watcher_sees_each_event_once_in_order(database: Database) -> None:
    run_id = await make_run(database)
    seen: list[list[int]] = [[] for _ in range(5)]

    async def watch(live: LiveEvents, number: int) -> None:
        async for event in live.subscribe(run_id, after=0):
            seen[number].append(event.seq)
            if event.seq == 60:
                return

    with anyio.fail_after(60):
        async with (
            LiveEvents(database, wake_ups(database, RUN_EVENTS)) as live,
            anyio.create_task_group() as group,
        ):
            for number in range(5):
                group.start_soon(watch, live, number)
            for n in range(60):
                await write(database, run_id, f"s{n}", "x")
    assert seen == [list(range(1, 61))] * 5
