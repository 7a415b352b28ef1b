"""Many viewers over two gateways: from an append's commit to the bytes at the client, beside a bare Redis echo.

    python -m bench.viewers [--viewers 500] [--rate 1000] [--seconds 20] [--way notify|redis|both]

Starts a Postgres, a redis-server and two gateways of its own. Writers are here, viewers in a process of their own: each
reads a raw SSE connection and looks at the clock as soon as bytes come. First one run with one viewer, then ten runs with
one each (the tool's end to the client), then all viewers at once.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr
from redis.asyncio import Redis
from tests.fixtures.gateways import GatewayProcess, gateway_processes, token_for
from tests.fixtures.redis_server import RedisServer
from tests.fixtures.rows import make_run

from hypercode.domain.event import ToolCallCompleted
from hypercode.events import log
from hypercode.store import embedded
from hypercode.store.database import Database, open_database
from hypercode.store.migrate import migrate

EVENT = re.compile(rb'id: (\d+)\n.*"at":"([^"]+)"\}', re.DOTALL)
ALONE = 200
RUNS = 10


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000, 2)
        for name, part in at.items()
    }


def tool_ended(number: int) -> ToolCallCompleted:
    return ToolCallCompleted(
        call_id=str(number),
        tool="sh_exec",
        ok=True,
        code="OK",
        summary="done",
        result="x" * 500,
        duration_ms=12.0,
    )


# ---------------------------------------------------------------- viewers, a process of their own
Seen = tuple[str, int, float, float]
"""Run, seq, when its bytes came, and seconds since its row was written."""


async def view(port: int, run_id: str, token: str, seen: list[Seen]) -> None:
    """One raw SSE connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /api/v1/runs/{run_id}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(head.encode())
    rest = b""
    while data := await reader.read(65536):
        now, wall = time.monotonic(), time.time()
        *frames, rest = (rest + data).split(b"\n\n")
        for frame in frames:
            if (found := EVENT.search(frame)) is not None:
                written = datetime.fromisoformat(found[2].decode()).timestamp()
                seen.append((run_id, int(found[1]), now, wall - written))


async def view_all(ask: dict[str, Any]) -> None:
    seen: list[Seen] = []
    tasks = [
        asyncio.create_task(view(port, run_id, token, seen)) for port, run_id, token in ask["connections"]
    ]
    # Each has the run's first event now: it follows.
    while len(seen) < len(tasks):  # noqa: ASYNC110 - what is waited for is in other processes
        await asyncio.sleep(0.01)
    seen.clear()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    print(json.dumps(seen), flush=True)


@contextmanager
def viewers(connections: list[tuple[int, str, str]]) -> Iterator[list[Any]]:
    """View while the block runs; what was seen is in the list after it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.viewers", "--view"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"connections": connections}) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"
    seen: list[Any] = []
    yield seen
    process.stdin.write("\n")
    process.stdin.flush()
    seen += json.loads(process.stdout.readline())
    process.wait()


# ---------------------------------------------------------------- writers
class CommitClock:
    """When an append has committed: where Redis is told of it that is before the telling, else when the statement returns."""

    def __init__(self, database: Database) -> None:
        self._told: dict[asyncio.Task[Any] | None, float] = {}
        if database.redis is not None:
            self._publish = database.redis.publish
            database.redis.publish = self._stamped

    async def _stamped(self, wake_ups: Any) -> None:
        self._told[asyncio.current_task()] = time.monotonic()
        await self._publish(wake_ups)

    def moment(self) -> float:
        now = time.monotonic()
        return self._told.pop(asyncio.current_task(), now)


async def write(
    database: Database,
    clock: CommitClock,
    run_id: str,
    number: int,
    committed: dict[tuple[str, int], float],
) -> None:
    """One append, as the worker makes it: a statement that is its own transaction."""
    seq = await log.append_alone(database, run_id, f"s{number}", [tool_ended(number)])
    committed[run_id, seq] = clock.moment()


async def steadily(
    database: Database, run_ids: list[str], a_second: float, count: int
) -> dict[tuple[str, int], float]:
    """Append to the runs in turn, so many a second in all."""
    committed: dict[tuple[str, int], float] = {}
    clock = CommitClock(database)
    began = time.monotonic()
    writing: set[asyncio.Task[None]] = set()
    for number in range(count):
        await asyncio.sleep(max(0.0, began + number / a_second - time.monotonic()))
        task = asyncio.create_task(write(database, clock, run_ids[number % len(run_ids)], number, committed))
        writing.add(task)
        task.add_done_callback(writing.discard)
    await asyncio.gather(*writing)
    # The last ones are on their way.
    await asyncio.sleep(1)
    return committed


async def watched(
    database: Database,
    gateways: list[GatewayProcess],
    run_count: int,
    viewers_a_run: int,
    rate: float,
    count: int,
) -> dict[str, Any]:
    """``rate`` is appends a second; each is delivered to all viewers of its run."""
    run_ids = [await make_run(database) for _ in range(run_count)]
    tokens = {run_id: await token_for(database, run_id) for run_id in run_ids}
    for run_id in run_ids:
        await log.append_alone(database, run_id, "first", [tool_ended(0)])
    connections = [
        (gateways[number % len(gateways)].port, run_id, tokens[run_id])
        for run_id in run_ids
        for number in range(viewers_a_run)
    ]
    processes = [psutil.Process(gateway.pid) for gateway in gateways]
    with viewers(connections) as seen:
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        began = time.monotonic()
        committed = await steadily(database, run_ids, rate, count)
        took = time.monotonic() - began - 1
        cpu = sum(sum(process.cpu_times()[:2]) for process in processes) - before
        memory = [round(process.memory_info().rss / 1e6) for process in processes]
    # On a busy machine this process hears late of its own commit, and bytes may have come before: the time from the row,
    # the commit's own included, is the other bound.
    lags = [max(0.0, came - committed[run_id, seq]) for run_id, seq, came, _ in seen]
    return {
        "from the commit": figures(lags),
        "from the row": figures([since_row for *_, since_row in seen]),
        "deliveries": len(lags),
        "missing": count * viewers_a_run - len(lags),
        "deliveries_a_second": round(len(lags) / took),
        "gateways_cpu_ms_a_delivery": round(cpu * 1000 / len(lags), 3),
        "gateways_memory_mb": memory,
    }


async def bare(url: str, times: int = 500) -> dict[str, Any]:
    """The floor of the same run: Redis pub/sub from one connection to another, and back to whoever sent it."""
    client = Redis.from_url(url)
    took: list[float] = []
    async with client.pubsub() as heard:
        await heard.subscribe("bench")
        await heard.get_message(timeout=5)
        for _ in range(times):
            began = time.monotonic()
            await client.publish("bench", "x" * 700)
            await heard.get_message(timeout=5)
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.002)
    await client.aclose()
    return figures(took)


async def measure(
    database: Database, gateways: list[GatewayProcess], redis_url: str, options: Any
) -> dict[str, Any]:
    alone = await watched(database, gateways, 1, 1, 20, ALONE)
    ten = await watched(database, gateways, RUNS, 1, 100, ALONE * 5)
    runs = max(1, options.viewers // 50)
    a_run = options.viewers // runs
    rate = options.rate / a_run
    many = await watched(database, gateways, runs, a_run, rate, int(rate * options.seconds))
    return {
        "one run, one viewer": alone,
        f"{RUNS} runs, a viewer each, 100 events a second": ten,
        f"{options.viewers} viewers of {runs} runs, {options.rate} deliveries a second": many,
        "bare Redis publish to subscriber": await bare(redis_url),
    }


def one_way(postgres: str, redis: RedisServer, way: str, options: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="hc-bench-gw-", dir="/tmp") as directory:
        environment = {"HYPERCODE_REDIS_URL": redis.url} if way == "redis" else {}

        async def measured(gateways: list[GatewayProcess]) -> dict[str, Any]:
            database = open_database(postgres, SecretStr(redis.url) if way == "redis" else None)
            try:
                return await measure(database, gateways, redis.url, options)
            finally:
                await database.dispose()

        with gateway_processes(postgres, Path(directory), 2, environment) as gateways:
            return asyncio.run(measured(gateways))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--viewers", type=int, default=500)
    parser.add_argument("--rate", type=int, default=1000, help="deliveries a second in all")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--way", choices=["notify", "redis", "both"], default="both")
    parser.add_argument("--view", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.view:
        asyncio.run(view_all(json.loads(sys.stdin.readline())))
        return
    with tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp") as directory:
        home = Path(directory)
        home.chmod(0o711)
        postgres, redis = embedded.prepare(home / "postgres"), RedisServer(home)
        postgres.start()
        redis.start()
        try:
            migrate(postgres.url)
            ways = ["notify", "redis"] if options.way == "both" else [options.way]
            result = {way: one_way(postgres.url, redis, way, options) for way in ways}
            print(json.dumps({"load": os.getloadavg()[0], **result}, indent=2))
        finally:
            redis.close()
            postgres.stop()


if __name__ == "__main__":
    main()
