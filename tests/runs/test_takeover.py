"""Workers that are really killed, frozen and stopped, on a real Postgres and a real step journal; no container is needed.

Leases are 6 s here instead of 20, so that the tests are quick; with HYPERCODE_PROMISES they are as on any platform.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url
from tests.fixtures.rows import make_run
from tests.fixtures.workers import Nursery, Workers, until
from tests.runs.test_waiting import ask

from hypercode.domain.approval import Decision
from hypercode.events.approvals import decide_approval
from hypercode.events.log import read
from hypercode.runs.worker import EXIT_LEASE_LOST
from hypercode.settings import RunSettings, Settings
from hypercode.store.database import Database
from hypercode.store.queue import enqueue_run
from hypercode.store.runs import get_run, get_task_of
from hypercode.store.tables import RunRow
from hypercode.store.users import get_user, to_domain

pytestmark = pytest.mark.anyio
TURNS = 6
AS_ANYWHERE = "HYPERCODE_PROMISES" in os.environ
LEASE_S, SWEEP_S = (RunSettings().lease_s, RunSettings().sweep_s) if AS_ANYWHERE else (6.0, 0.2)
REPLACED_WITHIN_S = 30.0
KILLS = 2


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def workers(nursery: Nursery, own_database_url: str, tmp_path: Path) -> Iterator[Workers]:
    runs = {"lease_s": LEASE_S, "sweep_s": SWEEP_S}
    workers = Workers(nursery, own_database_url, tmp_path, turns=TURNS, runs=runs)
    yield workers
    workers.close()


@pytest.fixture
async def own(own_database_url: str):
    database = Database(own_database_url)
    yield database
    await database.dispose()


@pytest.fixture
def looker(own_database_url: str) -> Iterator[psycopg.Connection]:
    conninfo = make_url(own_database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        yield connection


def script(directory: Path, delays: dict[int, float]) -> str:
    path = directory / "script.yaml"
    turns = [{"say": f"turn {turn}", "delay_s": delays.get(turn, 0.02)} for turn in range(1, TURNS + 1)]
    path.write_text(json.dumps({"turns": turns}))
    return f"scripted:{path}"


async def queue(database: Database, model: str, goal: str = "do it") -> str:
    run_id = await make_run(database)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        run.model, run.goal = model, goal
        await enqueue_run(session, run)
    return run_id


class Watch:
    """Reads what happened, by a connection of its own that nothing waits for."""

    def __init__(self, connection: psycopg.Connection, run_id: str) -> None:
        self._connection = connection
        self._run_id = run_id

    def one(self, query: str) -> object:
        row = self._connection.execute(query.encode(), {"run": self._run_id}).fetchone()
        return row[0] if row else None

    def status(self) -> object:
        return self.one("SELECT status FROM runs WHERE id = %(run)s")

    def finished_steps(self) -> set[str]:
        rows = self._connection.execute(
            b"SELECT function_name FROM dbos.operation_outputs WHERE workflow_uuid LIKE %(run)s || '-%%' "
            b"AND output IS NOT NULL",
            {"run": self._run_id},
        )
        return {name for (name,) in rows}

    def holder(self) -> object:
        return self.one("SELECT worker_id FROM run_heads WHERE run_id = %(run)s")


async def check_books(database: Database, run_id: str) -> RunRow:
    """Every event once and in order, every turn once, every token counted once."""
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        events = await read(session, run_id)
    assert run.status == "succeeded"
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    turns = [event.payload["turn"] for event in events if event.type == "turn.completed"]
    marks = [event.payload["message"] for event in events if event.type == "tool_call.progressed"]
    assert turns == list(range(1, TURNS + 1))
    assert marks == [f"mark {turn}" for turn in range(1, TURNS + 1)]
    used = sum(
        event.payload["tokens_in"] + event.payload["tokens_out"]
        for event in events
        if event.type == "turn.completed"
    )
    assert run.tokens_in + run.tokens_out == used
    return run


@pytest.mark.promise(1, 4)
async def test_killed_again_and_again_no_finished_step_repeats(
    own: Database,
    looker: psycopg.Connection,
    workers: Workers,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    for _ in range(KILLS + 1):
        workers.start()
    run_id = await queue(own, script(tmp_path, dict.fromkeys(range(1, TURNS + 1), 0.2)))
    watch, chance = Watch(looker, run_id), random.Random(20)
    repeated, takeovers = set[str](), list[float]()
    for _ in range(KILLS):
        wanted = len(workers.marks) + chance.randint(1, 2)
        until(lambda: len(workers.marks) >= wanted)  # noqa: B023
        moment = time.monotonic() + chance.random() * 0.2
        until(lambda: time.monotonic() >= moment)  # noqa: B023
        workers.last_at_work().kill()
        killed, finished, seen = time.monotonic(), watch.finished_steps(), len(workers.marks)
        until(lambda: len(workers.marks) > seen or watch.status() == "succeeded")  # noqa: B023
        takeovers.append(time.monotonic() - killed)
        repeated |= {step for _, step, _ in workers.marks[seen:] if step in finished}
    until(lambda: watch.status() == "succeeded")
    assert repeated == set()
    assert (await check_books(own, run_id)).segment == KILLS
    assert max(takeovers) < REPLACED_WITHIN_S
    record_property("recovered_s", {f"a worker for good, with a lease of {LEASE_S:g} s": takeovers})
    print(f"kill -9 to the next step, lease {LEASE_S:g} s:", [round(seconds, 2) for seconds in takeovers])


@pytest.mark.promise(5)
async def test_a_frozen_worker_is_replaced_and_fenced_when_it_wakes_up(
    own: Database, looker: psycopg.Connection, workers: Workers, tmp_path: Path
) -> None:
    for _ in range(2):
        workers.start()
    run_id = await queue(own, script(tmp_path, {3: 0.5}))
    watch = Watch(looker, run_id)
    until(lambda: any(step == "model:3" for _, step, _ in workers.marks))
    zombie = workers.last_at_work()
    zombie.send(signal.SIGSTOP)
    took = until(lambda: watch.holder() not in (None, zombie.worker_id) or watch.status() == "succeeded")
    zombie.send(signal.SIGCONT)
    assert zombie.exit_code() == EXIT_LEASE_LOST
    assert took < REPLACED_WITHIN_S
    until(lambda: watch.status() == "succeeded")
    await check_books(own, run_id)
    of_zombie = [step for _, step, pid in workers.marks if pid == zombie.pid]
    assert of_zombie == ["model:1", "mark:1", "model:2", "mark:2", "model:3"]
    print(f"frozen to replaced, lease {LEASE_S:g} s: {took:.2f} s")


async def test_a_worker_that_stops_in_order_hands_over_at_once(
    own: Database, looker: psycopg.Connection, workers: Workers, tmp_path: Path
) -> None:
    for _ in range(2):
        workers.start(lease_s=600)
    run_id = await queue(own, script(tmp_path, {3: 1.0}))
    watch = Watch(looker, run_id)
    until(lambda: any(step == "model:3" for _, step, _ in workers.marks))
    first = workers.last_at_work()
    first.send(signal.SIGTERM)
    took = until(lambda: watch.holder() not in (None, first.worker_id))
    assert first.exit_code() == 0
    until(lambda: watch.status() == "succeeded")
    await check_books(own, run_id)
    print(f"SIGTERM to another's claim: {took:.2f} s")


@pytest.mark.promise(4)
async def test_the_next_at_its_place_takes_over_without_waiting_for_the_lease(
    own: Database, looker: psycopg.Connection, workers: Workers, tmp_path: Path
) -> None:
    first = workers.start(place="here", lease_s=600)
    run_id = await queue(own, script(tmp_path, {3: 0.5}))
    watch = Watch(looker, run_id)
    until(lambda: any(step == "model:3" for _, step, _ in workers.marks))
    first.kill()
    second = workers.start(place="here", lease_s=600)
    took = until(lambda: watch.holder() == second.worker_id or watch.status() == "succeeded")
    until(lambda: watch.status() == "succeeded")
    await check_books(own, run_id)
    print(f"ready at its place to its claim: {took:.2f} s")


@pytest.mark.promise(6)
async def test_an_approval_while_all_workers_are_down_is_kept(
    own: Database, looker: psycopg.Connection, workers: Workers, tmp_path: Path
) -> None:
    workers.held_s = 0.2
    first = workers.start()
    model = script(tmp_path, {})
    run_id = await make_run(own)
    approval = await ask(own, run_id, 0)
    async with own.transaction() as session:
        run = await get_run(session, run_id)
        run.model, run.goal = model, f"ask:{approval}"
        await enqueue_run(session, run)
    watch = Watch(looker, run_id)
    until(lambda: watch.one("SELECT parked_at FROM runs WHERE id = %(run)s") is not None)
    assert watch.holder() is None
    first.kill()
    async with own.transaction() as session:
        user = to_domain(await get_user(session, (await get_task_of(session, run)).created_by))
        await decide_approval(session, user, approval, Decision(decision="approve"), Settings().approvals)
    workers.start()
    until(lambda: watch.status() == "succeeded")
    await check_books(own, run_id)


async def test_an_upgrade_strands_no_run_and_an_older_worker_leaves_it_alone(
    own: Database, looker: psycopg.Connection, workers: Workers, tmp_path: Path
) -> None:
    old = workers.start(place="here", loop_version=1)
    run_id = await queue(own, script(tmp_path, {3: 0.5, 5: 0.5}))
    watch = Watch(looker, run_id)
    until(lambda: any(step == "model:3" for _, step, _ in workers.marks))
    old.kill()
    new = workers.start(place="here", loop_version=2)
    until(lambda: any(step == "model:5" for _, step, _ in workers.marks))
    assert watch.holder() == new.worker_id
    new.kill()
    other = workers.start(place="here", loop_version=1)
    until(lambda: watch.one("SELECT queued_at FROM runs WHERE id = %(run)s") is not None)
    newer = workers.start(place="there", loop_version=2)
    until(lambda: watch.status() == "succeeded")
    run = await check_books(own, run_id)
    assert (run.loop_version, run.segment) == (2, 2)
    assert other.pid not in {pid for _, _, pid in workers.marks}
    assert newer.pid in {pid for _, _, pid in workers.marks}


async def test_a_long_run_changes_its_segment_and_repeats_nothing(
    own: Database, looker: psycopg.Connection, workers: Workers, tmp_path: Path
) -> None:
    workers.start(steps_per_segment=4)
    run_id = await queue(own, script(tmp_path, {}))
    watch = Watch(looker, run_id)
    until(lambda: watch.status() == "succeeded")
    run = await check_books(own, run_id)
    assert run.segment == 3
    steps = [step for _, step, _ in workers.marks]
    assert sorted(steps) == sorted(set(steps))
    until(lambda: watch.holder() is None)
