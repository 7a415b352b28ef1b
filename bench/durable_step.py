"""What a durable step costs: a step of a run that writes one event, with its checkpoint, beside one bare insert.

    python -m bench.durable_step [--steps 300]

Starts a Postgres and a worker of its own; the run is that of tests/fixtures/marking.py, which needs no container. A step's time
is that from the event before it to its own, by the database's clock: the checkpoint of the step before, and its own append.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from tests.fixtures.workers import Nursery, Workers, until

from bench.task_start import accept, conninfo
from hypercode.store import embedded
from hypercode.store.database import open_database
from hypercode.store.migrate import migrate

TIMES = (
    b"SELECT step_key, extract(epoch FROM at) * 1000 FROM run_events WHERE run_id = %s "
    b"AND (step_key LIKE 'model:%%' OR step_key LIKE 'mark:%%') ORDER BY seq"
)


@contextmanager
def worker(directory: Path, turns: int) -> Iterator[tuple[str, Workers]]:
    directory.chmod(0o711)
    server = embedded.prepare(directory / "postgres")
    server.start()
    nursery = Nursery()
    workers = Workers(nursery, server.url, directory, turns=turns)
    try:
        migrate(server.url)
        workers.start()
        yield server.url, workers
    finally:
        workers.close()
        nursery.close()
        server.stop()


def bare_inserts(url: str, number: int) -> float:
    """Milliseconds of one committed insert of a row like an event's, without anything of ours."""
    times: list[float] = []
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bare (run_id text, seq int, payload jsonb, PRIMARY KEY (run_id, seq))"
        )
        for seq in range(number):
            began = time.perf_counter()
            connection.execute(
                "INSERT INTO bare VALUES (%s, %s, %s)", ("run", seq, json.dumps({"message": f"mark {seq}"}))
            )
            times.append((time.perf_counter() - began) * 1000)
        connection.execute("DROP TABLE bare")
    return statistics.median(times)


async def one_run(url: str, script: Path) -> str:
    database = open_database(url, None)
    try:
        return await accept(database, script)
    finally:
        await database.dispose()


def measure(steps: int) -> dict[str, float]:
    turns = steps // 2
    with tempfile.TemporaryDirectory(prefix="hc-step-", dir="/tmp") as directory:
        home = Path(directory)
        script = home / "script.json"
        script.write_text(json.dumps({"turns": [{"say": "done"}] * (turns + 1)}))
        with worker(home, turns) as (url, workers):
            floor = bare_inserts(url, steps)
            process = psutil.Process(workers.started[0].pid)
            run_id = asyncio.run(one_run(url, script))
            with psycopg.connect(conninfo(url), autocommit=True) as connection:
                until(lambda: len(connection.execute(TIMES, (run_id,)).fetchall()) >= 10)
                before, seen = process.cpu_times(), connection.execute(TIMES, (run_id,)).fetchall()
                until(lambda: len(connection.execute(TIMES, (run_id,)).fetchall()) >= 2 * turns, 300)
                after, times = process.cpu_times(), connection.execute(TIMES, (run_id,)).fetchall()
    took = {"model": list[float](), "mark": list[float]()}
    for (_, earlier), (key, at) in itertools.pairwise(times):
        took[key.partition(":")[0]].append(float(at - earlier))
    cpu = (after.user + after.system - before.user - before.system) * 1000
    return {
        "bare insert, ms": round(floor, 2),
        "step with an event, ms": round(statistics.median(took["mark"]), 2),
        "step with a model call's books, ms": round(statistics.median(took["model"]), 2),
        "worker's CPU a step, ms": round(cpu / (len(times) - len(seen)), 2),
        "steps": len(times),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=300)
    print(json.dumps(measure(parser.parse_args().steps), indent=1))
