"""Deltas from one process to another: over Redis and over NOTIFY, in order, in pieces, and never in the log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from sqlalchemy import text
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.rows import make_run

from hypercode.domain.delta import Delta
from hypercode.domain.event import NoticeRaised
from hypercode.events import log
from hypercode.events.deltas import PIECE, tell
from hypercode.events.live import LiveEvents
from hypercode.events.place import Place
from hypercode.events.wake_ups import wake_ups
from hypercode.store.channels import RUN_DELTAS, RUN_EVENTS, redis_channel
from hypercode.store.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["notify", "redis"])
def way(request: pytest.FixtureRequest, database: Database, redis_database: Database) -> Database:
    return database if request.param == "notify" else redis_database


@asynccontextmanager
async def watching(database: Database, run_id: str) -> AsyncIterator[Place]:
    deltas = wake_ups(database, RUN_DELTAS)
    async with (
        LiveEvents(database, wake_ups(database, RUN_EVENTS), deltas) as live,
        live.place(run_id, 0) as place,
    ):
        yield place


async def heard(database: Database, place: Place, say: Delta) -> list[Delta]:
    """Say it until it is heard: whoever does not listen yet hears nothing."""
    with anyio.fail_after(20):
        while True:
            await tell(database, say)
            if deltas := [item for item in await place.take(0.1) if isinstance(item, Delta)]:
                return deltas


def delta(run_id: str, said: str, at: int = 0) -> Delta:
    return Delta(run_id=run_id, turn=1, attempt="a", at=at, text=said)


async def test_what_is_said_is_heard_in_order_whatever_is_in_it(way: Database) -> None:
    run_id = await make_run(way)
    said = "".join(f'{n} "\x00\n😀é ' for n in range(PIECE))
    async with watching(way, run_id) as place:
        begin = await heard(way, place, delta(run_id, "Begin. "))
        assert begin[0].text == "Begin. "
        await tell(way, delta(run_id, said, at=7))
        got = ""
        with anyio.fail_after(20):
            while got != said:
                for item in await place.take(None):
                    assert isinstance(item, Delta)
                    assert item.at == 7 + len(got)
                    got += item.text
    async with way.transaction() as session:
        assert (
            await session.scalar(text("SELECT count(*) FROM run_events WHERE run_id = :id"), {"id": run_id})
            == 0
        )


async def test_rubbish_on_the_channel_is_heard_by_nobody_and_ends_nothing(
    redis_database: Database, redis_server: RedisServer
) -> None:
    run_id = await make_run(redis_database)
    async with watching(redis_database, run_id) as place:
        await heard(redis_database, place, delta(run_id, "one"))
        for rubbish in ("", run_id, f"{run_id} {{", f'{run_id} {{"turn": "x"}}', "run_other {}", "\x00"):
            redis_server.client.publish(redis_channel(RUN_DELTAS), rubbish)
        with anyio.fail_after(20):
            await tell(redis_database, delta(run_id, "two", at=3))
            (item,) = await place.take(None)
    assert isinstance(item, Delta)
    assert (item.at, item.text) == (3, "two")


async def test_without_redis_deltas_are_lost_and_events_are_not(
    redis_database: Database, redis_server: RedisServer
) -> None:
    run_id = await make_run(redis_database)
    async with watching(redis_database, run_id) as place:
        await heard(redis_database, place, delta(run_id, "one"))
        redis_server.kill()
        await tell(redis_database, delta(run_id, "two", at=3))
        async with redis_database.transaction() as session:
            notice = NoticeRaised(level="info", code="N", message="", hint="")
            await log.append(session, run_id, "s", [notice])
        with anyio.fail_after(20):
            (event,) = await place.take(None)
        assert event.type == "notice.raised"
        redis_server.start()
        later = await heard(redis_database, place, delta(run_id, "three", at=6))
        assert (later[0].at, later[0].text) == (6, "three")


async def test_nobody_waits_for_a_postgres_that_is_away() -> None:
    nowhere = Database("postgresql:///none?host=/nonexistent")
    sending = asyncio.create_task(tell(nowhere, delta("run_1", "lost")))
    await asyncio.wait({sending}, timeout=0.05)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    await nowhere.dispose()
