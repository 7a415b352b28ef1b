"""Watchers while Redis wakes them, while it dies under them, and while it hangs."""

import asyncio
import statistics
import time

import anyio
import pytest
import structlog
from pydantic import SecretStr
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.rows import make_run

from hypercode.domain.errors import InvalidArgument
from hypercode.domain.event import NoticeRaised
from hypercode.events import log
from hypercode.events.live import SWEEP_S, LiveEvents
from hypercode.events.wake_ups import wake_ups
from hypercode.store.channels import RUN_EVENTS, redis_channel
from hypercode.store.database import Database, open_database, wake

pytestmark = pytest.mark.anyio


async def write(database: Database, run_id: str, number: int) -> None:
    notice = NoticeRaised(level="info", code="TEST", message=str(number), hint="")
    async with database.transaction() as session:
        await log.append(session, run_id, f"s{number}", [notice])


class Watcher:
    """Follows a run, and remembers what came and when."""

    def __init__(self, database: Database, run_id: str) -> None:
        self.database = database
        self.run_id = run_id
        self.seen: list[int] = []
        self._came = asyncio.Condition()

    async def follow(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with LiveEvents(self.database, wake_ups(self.database, RUN_EVENTS)) as live:
            task_status.started()
            async for event in live.subscribe(self.run_id, after=0):
                async with self._came:
                    self.seen.append(event.seq)
                    self._came.notify_all()

    async def until(self, seq: int) -> float:
        """Wait for an event; returns when it was seen."""
        async with self._came:
            await self._came.wait_for(lambda: seq in self.seen)
        return time.monotonic()


def check_told(logs: list[structlog.typing.EventDict]) -> None:
    """It was away and is back; on a machine that is busy enough once more than it was made to be."""
    told = [entry["event"] for entry in logs]
    assert told == ["redis.away", "redis.back"] * (len(told) // 2)
    assert told != []


async def subscribers(server: RedisServer, number: int) -> None:
    name = redis_channel(RUN_EVENTS)
    while dict(server.client.pubsub_numsub(name))[name] < number:  # noqa: ASYNC110 - only Redis knows
        await asyncio.sleep(0.01)


async def test_redis_wakes_watchers_long_before_they_look_by_themselves(
    redis_database: Database, redis_server: RedisServer
) -> None:
    watcher = Watcher(redis_database, await make_run(redis_database))
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            await group.start(watcher.follow)
            await subscribers(redis_server, 1)
            took: list[float] = []
            for number in range(1, 11):
                began = time.monotonic()
                await write(redis_database, watcher.run_id, number)
                took.append(await watcher.until(number) - began)
            group.cancel_scope.cancel()
    assert watcher.seen == list(range(1, 11))
    assert sorted(took)[5] < SWEEP_S / 4


async def test_a_rolled_back_transaction_wakes_nobody(
    redis_database: Database, redis_server: RedisServer
) -> None:
    with redis_server.client.pubsub() as heard, anyio.fail_after(10):
        heard.subscribe(redis_channel(RUN_EVENTS))
        assert heard.get_message(timeout=5)["type"] == "subscribe"
        with pytest.raises(RuntimeError):
            async with redis_database.transaction() as session:
                await wake(session, RUN_EVENTS, "run_lost")
                raise RuntimeError
        async with redis_database.transaction() as session:
            await wake(session, RUN_EVENTS, "run_kept")
            await wake(session, RUN_EVENTS, "run_kept")
        assert heard.get_message(timeout=5)["data"] == "run_kept"
        assert heard.get_message(timeout=0.05) is None


async def test_redis_killed_and_back_under_a_stream_loses_and_doubles_nothing(
    redis_database: Database, redis_server: RedisServer
) -> None:
    watcher = Watcher(redis_database, await make_run(redis_database))
    with anyio.fail_after(60), structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as group:
            await group.start(watcher.follow)
            for number in range(1, 21):
                await write(redis_database, watcher.run_id, number)
            redis_server.kill()
            for number in range(21, 41):
                await write(redis_database, watcher.run_id, number)
            # Nobody is woken now: the tail's own look finds them.
            await watcher.until(40)
            redis_server.start()
            await subscribers(redis_server, 1)
            assert await redis_database.redis.answers()
            began = time.monotonic()
            await write(redis_database, watcher.run_id, 41)
            woken = await watcher.until(41) - began
            redis_server.client.flushall()
            await write(redis_database, watcher.run_id, 42)
            await watcher.until(42)
            group.cancel_scope.cancel()
    assert watcher.seen == list(range(1, 43))
    assert woken < SWEEP_S
    check_told(logs)


async def test_redis_that_is_away_at_the_start_is_found_when_it_comes(
    database_url: str, redis_server: RedisServer
) -> None:
    redis_server.kill()
    database = open_database(database_url, SecretStr(redis_server.url))
    watcher = Watcher(database, await make_run(database))
    with anyio.fail_after(30), structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as group:
            await group.start(watcher.follow)
            await write(database, watcher.run_id, 1)
            await watcher.until(1)
            redis_server.start()
            await subscribers(redis_server, 1)
            group.cancel_scope.cancel()
    await database.dispose()
    check_told(logs)


async def test_a_hanging_redis_costs_a_call_a_tenth_of_a_second_and_most_calls_nothing(
    redis_database: Database, redis_server: RedisServer
) -> None:
    door = redis_database.redis
    assert door is not None
    assert await door.answers()

    async def echoes(number: int) -> list[float]:
        async def echo() -> float:
            began = time.monotonic()
            await door.call(lambda redis: redis.echo("x"), otherwise=None)
            return time.monotonic() - began

        return await asyncio.gather(*(echo() for _ in range(number)))

    async def until_it_answers() -> None:
        while not await door.answers():  # noqa: ASYNC110 - only Redis knows
            await asyncio.sleep(0.01)

    with structlog.testing.capture_logs() as logs, anyio.fail_after(30):
        await echoes(1000)
        # On a machine that is busy enough it may have been too late; never did connections run out.
        assert {entry.get("reason", "TimeoutError") for entry in logs} <= {"TimeoutError"}
        await until_it_answers()
        logs.clear()
        redis_server.freeze()
        at_once = await echoes(1000)
        while not logs:
            (took,) = await echoes(1)
            assert took < 1
        while_away = [(await echoes(1))[0] for _ in range(200)]
        redis_server.thaw()
        await until_it_answers()
    assert max(at_once) < 1
    assert statistics.median(while_away) < 0.01
    check_told(logs)


@pytest.mark.parametrize("url", ["redis://user:s3cret@host:no-port/0", "http://:s3cret@host"])
def test_an_url_that_is_none_is_refused_without_quoting_it(database_url: str, url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        open_database(database_url, SecretStr(url))
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint} {refused.value.__cause__}"
