"""From a task's acceptance to the first event of the worker that took it, and what an idle worker asks of Postgres.

    python -m bench.task_start [--runs 100]

Starts a Postgres, a redis-server and workers of its own; the runs are those of tests/fixtures/marking.py, which need no
container. Both times are the database's.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path

import psycopg
from pydantic import SecretStr
from sqlalchemy import make_url
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.rows import make_run
from tests.fixtures.workers import Nursery, Workers

from hypercode.domain.event import RunQueued
from hypercode.domain.role import AgentRole
from hypercode.events import log
from hypercode.store import embedded
from hypercode.store.database import Database, open_database
from hypercode.store.migrate import migrate
from hypercode.store.queue import enqueue_run
from hypercode.store.runs import get_run

IDLE_S = 10.0
TIMES = b"SELECT type, at FROM run_events WHERE run_id = %s ORDER BY seq LIMIT 2"


async def accept(database: Database, script: Path) -> str:
    """A run with its first event and its place in the queue, in one transaction, as a task is accepted."""
    run_id = await make_run(database)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        run.model = f"scripted:{script}"
        told = RunQueued(
            task_id=run.task_id,
            role=AgentRole.CODER,
            model=run.model,
            prompt="do it",
            parent_run_id=None,
            routed_by="",
        )
        await log.append(session, run.id, "queued", [told])
        await enqueue_run(session, run)
    return run_id


async def started(connection: psycopg.Connection, run_id: str) -> float:
    """Milliseconds from the first event to the second, which is the worker's."""
    while True:
        rows: list[tuple[str, datetime]] = connection.execute(TIMES, (run_id,)).fetchall()
        if len(rows) == 2:
            return (rows[1][1] - rows[0][1]).total_seconds() * 1000
        await asyncio.sleep(0.02)


async def starts(url: str, redis: str | None, script: Path, runs: int) -> list[float]:
    database = open_database(url, SecretStr(redis) if redis else None)
    try:
        with psycopg.connect(conninfo(url), autocommit=True) as connection:
            return [await started(connection, await accept(database, script)) for _ in range(runs)]
    finally:
        await database.dispose()


def conninfo(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def transactions_a_second(url: str) -> float:
    """What an idle worker makes Postgres do; the statistics of its sessions are sent at least once a second."""
    query = b"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        before = connection.execute(query).fetchone()
        time.sleep(IDLE_S)
        after = connection.execute(query).fetchone()
    assert before is not None
    assert after is not None
    return round((after[0] - before[0]) / IDLE_S, 1)


def shown(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95) - 1], 1),
        "most_ms": round(ordered[-1], 1),
    }


def measure(runs: int) -> dict[str, object]:
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="hc-start-", dir="/tmp") as directory:
        home = Path(directory)
        home.chmod(0o711)
        server = embedded.prepare(home / "postgres")
        server.start()
        nursery, redis = Nursery(), RedisServer(home)
        redis.start()
        script = home / "script.json"
        script.write_text(json.dumps({"turns": [{"say": "done"}]}))
        try:
            migrate(server.url)
            for name, redis_url in (("NOTIFY", None), ("Redis", redis.url)):
                (home / name).mkdir()
                workers = Workers(nursery, server.url, home / name, turns=1, redis_url=redis_url)
                workers.start()
                results[f"idle worker, {name}, transactions/s"] = transactions_a_second(server.url)
                results[f"accepted to the worker's first event, {name}"] = shown(
                    asyncio.run(starts(server.url, redis_url, script, runs))
                )
                workers.close()
        finally:
            redis.close()
            nursery.close()
            server.stop()
    return results


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    print(json.dumps(measure(parser.parse_args().runs), indent=1))
