"""From a commit to the event in a stream, with Redis and with NOTIFY; and what the caches save.

    python -m bench.wake_ups [--events 300]

Starts a Postgres and a redis-server of its own. Ways take turns, so that a busy moment hits them all; the bare
figures beside ours are the floor of the same run.
"""

import argparse
import asyncio
import json
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import event as sqlalchemy_event
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.rows import make_run

from hypercode.domain.event import NoticeRaised
from hypercode.domain.project import EnvironmentSettings, SourceKind
from hypercode.events import log
from hypercode.events.live import LiveEvents
from hypercode.events.wake_ups import wake_ups
from hypercode.store import embedded
from hypercode.store.base_results import find_base_result, keep_base_result
from hypercode.store.cache import seal_key
from hypercode.store.channels import RUN_EVENTS
from hypercode.store.database import Database, open_database
from hypercode.store.migrate import migrate
from hypercode.store.projects import create_project, list_projects
from hypercode.store.runs import get_run, get_task_of
from hypercode.store.users import find_user_session, get_user, open_user_session

Once = Callable[[], Awaitable[float]]
PROJECTS = 30
TESTS = 200


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(statistics.median(ordered) * 1000, 3),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 3),
    }


async def in_turns(ways: dict[str, Once], times: int) -> dict[str, dict[str, float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(times):
        for name, once in ways.items():
            took[name].append(await once())
    # The first ones open connections.
    return {name: figures(seconds[10:]) for name, seconds in took.items()}


@asynccontextmanager
async def stream(database: Database) -> AsyncIterator[Once]:
    """One watched run; each call appends an event and returns the time from its commit to the watcher."""
    run_id = await make_run(database)
    seen: asyncio.Queue[float] = asyncio.Queue()
    numbers = iter(range(1_000_000))

    async def watch(live: LiveEvents) -> None:
        async for _ in live.subscribe(run_id):
            seen.put_nowait(time.perf_counter())

    async def once() -> float:
        committed: list[float] = []
        async with database.transaction() as session:
            sqlalchemy_event.listen(
                session.sync_session, "after_commit", lambda _: committed.append(time.perf_counter())
            )
            number = next(numbers)
            notice = NoticeRaised(level="info", code="BENCH", message=str(number), hint="")
            await log.append(session, run_id, f"s{number}", [notice])
        return await seen.get() - committed[0]

    async with LiveEvents(database, wake_ups(database, RUN_EVENTS)) as live:
        watcher = asyncio.create_task(watch(live))
        yield once
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


@asynccontextmanager
async def bare_redis(url: str) -> AsyncIterator[dict[str, Once]]:
    """The client library alone: an echo, and a message from one connection to another."""
    client = Redis.from_url(url)
    async with client.pubsub() as heard:
        await heard.subscribe("bench")
        await heard.get_message(timeout=5)

        async def echo() -> float:
            began = time.perf_counter()
            await client.echo("x")
            return time.perf_counter() - began

        async def message() -> float:
            began = time.perf_counter()
            await client.publish("bench", "x")
            await heard.get_message(timeout=5)
            return time.perf_counter() - began

        yield {"bare Redis echo": echo, "bare Redis publish to subscriber": message}
    await client.aclose()


@asynccontextmanager
async def bare_notify(url: str) -> AsyncIterator[dict[str, Once]]:
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as listening,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as telling,
    ):
        await listening.execute("LISTEN bench")

        async def message() -> float:
            began = time.perf_counter()
            await telling.execute("NOTIFY bench, 'x'")
            async for _ in listening.notifies(stop_after=1):
                pass
            return time.perf_counter() - began

        yield {"bare NOTIFY to listener": message}


async def lookups(plain: Database, kept: Database, redis: Redis) -> dict[str, Once]:
    """What the gateway and the verifier look up, from Postgres and from Redis."""
    run_id = await make_run(plain)
    report = {"tests": [{"id": f"tests/test_a.py::test_{n}", "outcome": "passed"} for n in range(TESTS)]}
    async with plain.transaction() as session:
        run = await get_run(session, run_id)
        organisation = run.organisation_id
        task = await get_task_of(session, run)
        token, _ = await open_user_session(session, await get_user(session, task.created_by))
        for number in range(PROJECTS):
            await create_project(
                session, organisation, name=f"p{number}", source_kind=SourceKind.LOCAL_PATH,
                source=f"/p/{number}", environment=EnvironmentSettings(),
            )  # fmt: skip
        key = secrets.token_hex(32)
        await keep_base_result(session, run, key, report)
    await redis.set("bench:base", json.dumps(report))

    def timed(database: Database, ask: Callable[[Any], Awaitable[Any]]) -> Once:
        async def once() -> float:
            began = time.perf_counter()
            async with database.transaction() as session:
                assert await ask(session)
            return time.perf_counter() - began

        return once

    async def base_from_redis() -> float:
        began = time.perf_counter()
        assert json.loads(await redis.get("bench:base"))
        return time.perf_counter() - began

    return {
        "session, Postgres": timed(plain, lambda session: find_user_session(session, token)),
        "session, Redis": timed(kept, lambda session: find_user_session(session, token)),
        f"{PROJECTS} projects, Postgres": timed(plain, lambda session: list_projects(session, organisation)),
        f"{PROJECTS} projects, Redis": timed(kept, lambda session: list_projects(session, organisation)),
        f"base result of {TESTS} tests, Postgres": timed(
            plain, lambda session: find_base_result(session, key)
        ),
        f"base result of {TESTS} tests, Redis": base_from_redis,
    }


async def measure(postgres: str, server: RedisServer, times: int) -> dict[str, Any]:
    server.start()
    redis_url = SecretStr(server.url)
    notify, redis = open_database(postgres, None), open_database(postgres, redis_url, seal_key("bench"))
    client = Redis.from_url(server.url)
    async with (
        stream(notify) as by_notify,
        stream(redis) as by_redis,
        bare_redis(server.url) as floor_redis,
        bare_notify(postgres) as floor_notify,
    ):
        ways = {"commit to stream, Redis": by_redis, "commit to stream, NOTIFY": by_notify}
        wake = await in_turns({**ways, **floor_redis, **floor_notify}, times)
    asked = await in_turns(await lookups(notify, redis, client), times)
    await client.aclose()
    await notify.dispose()
    await redis.dispose()
    return {"wake_ups": wake, "lookups": asked}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=300)
    times = parser.parse_args().events
    with tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp") as directory:
        home = Path(directory)
        home.chmod(0o711)
        postgres, server = embedded.prepare(home / "postgres"), RedisServer(home)
        postgres.start()
        try:
            migrate(postgres.url)
            print(json.dumps(asyncio.run(measure(postgres.url, server, times)), indent=2))
        finally:
            server.close()
            postgres.stop()


if __name__ == "__main__":
    main()
