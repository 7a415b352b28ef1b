"""A run that is archived is still there to look at, comes back row by row, and is never in two places or in none."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOSPortableJSONSerializer
from sqlalchemy import text
from tests.fixtures.rows import make_run
from typer.testing import CliRunner

from hypercode.cli.__main__ import app
from hypercode.domain.errors import Conflict, Damaged
from hypercode.domain.event import NoticeRaised
from hypercode.domain.run import RunStatus
from hypercode.events.history import History
from hypercode.events.log import append
from hypercode.runs.recording import recording_of
from hypercode.runs.retention import alone, due_runs, sweep, sweep_when_due
from hypercode.settings import RetentionSettings
from hypercode.store.archives import REMOVED, archive_run, get_archive, restore_run
from hypercode.store.database import Database
from hypercode.store.objects import DiskObjects
from hypercode.store.queue import segment_id
from hypercode.store.runs import get_run, update_run

pytestmark = pytest.mark.anyio
NEVER = RetentionSettings(archive_after_days=None)


@pytest.fixture
async def database(own_database_url: str) -> AsyncIterator[Database]:
    """Of its own: a sweep looks at all runs there are."""
    database = Database(own_database_url)
    yield database
    await database.dispose()


@pytest.fixture
def objects(tmp_path: Path) -> DiskObjects:
    return DiskObjects(tmp_path / "artifacts")


async def add_ended(database: Database, *, days: float = 1.0, events: int = 5) -> str:
    """A run with a workflow, steps, a journal and events, as one that ended so long ago."""
    run_id = await make_run(database)
    serialize = DBOSPortableJSONSerializer().serialize
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        await session.execute(
            text(
                "INSERT INTO dbos.workflow_status (workflow_uuid, status, name) VALUES (:id, 'SUCCESS', 'run_segment')"
            ),
            {"id": segment_id(run_id, 0)},
        )
        for n in range(events):
            said = NoticeRaised(level="info", code="NOTE", message=f"ü \u2028 {n}" * 20, hint='"\\')
            await append(session, run.id, f"note:{n}", [said])
        await session.execute(
            text(
                "INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name, output, retention_timestamp) "
                "VALUES (:id, 1, 'begin', :output, 0)"
            ),
            {"id": segment_id(run_id, 0), "output": serialize({"ok": {"a": [1.5, None, "é"]}})},
        )
        await session.execute(
            text(
                "INSERT INTO journal (run_id, key, organisation_id, project_id, tool, arguments_sha256, state, owner, result) "
                "VALUES (:run, 'model:1', '', '', 'model', '', 'done', 'worker', CAST(:result AS jsonb))"
            ),
            {"run": run_id, "result": json.dumps({"cost": 0.1 + 0.2, "large": 2**60})},
        )
        ended = datetime.now(UTC) - timedelta(days=days)
        await update_run(session, run_id, status=RunStatus.SUCCEEDED.value, ended_at=ended)
    return run_id


async def rows_of(database: Database, run_id: str) -> dict[str, list[Any]]:
    parameters = {"run_id": run_id, "workflows": [segment_id(run_id, 0)]}
    async with database.transaction() as session:
        return {
            table: list(
                await session.scalars(
                    text(f"SELECT to_jsonb(t)::text FROM {table} t WHERE {where} ORDER BY t"), parameters
                )
            )
            for table, where in REMOVED.items()
        }


async def archived(database: Database, objects: DiskObjects, run_id: str) -> None:
    async with database.transaction() as session:
        await archive_run(session, objects, run_id)


async def test_an_archived_run_is_read_as_before_and_comes_back_row_by_row(
    database: Database, objects: DiskObjects
) -> None:
    run_id = await add_ended(database)
    before, history = await rows_of(database, run_id), History(objects)
    assert [len(before[name]) for name in ("run_events", "journal", "dbos.workflow_status")] == [5, 1, 1]
    async with database.transaction() as session:
        events = await history.read(session, run_id)
    await archived(database, objects, run_id)
    assert not any((await rows_of(database, run_id)).values())
    async with database.transaction() as session:
        assert await history.read(session, run_id) == events
        assert await history.read(session, run_id, after=2, limit=2) == events[2:4]
        assert await history.read(session, run_id, after=5) == []
        with pytest.raises(Conflict, match="archived already"):
            await archive_run(session, objects, run_id)
        with pytest.raises(Conflict, match="is archived"):
            await recording_of(session, await get_run(session, run_id))
    async with database.transaction() as session:
        assert await restore_run(session, objects, run_id) == sum(len(rows) for rows in before.values())
    assert await rows_of(database, run_id) == before
    async with database.transaction() as session:
        assert await history.read(session, run_id) == events
        with pytest.raises(Conflict, match="not archived"):
            await restore_run(session, objects, run_id)


async def test_an_event_that_comes_late_follows_the_archived_ones(
    database: Database, objects: DiskObjects
) -> None:
    run_id = await add_ended(database)
    await archived(database, objects, run_id)
    late = NoticeRaised(level="info", code="LATE", message="", hint="")
    async with database.transaction() as session:
        await append(session, run_id, "late", [late])
    async with database.transaction() as session:
        read = await History(objects).read(session, run_id, after=3)
    assert [event.seq for event in read] == [4, 5, 6]
    async with database.transaction() as session:
        await restore_run(session, objects, run_id)
    assert len((await rows_of(database, run_id))["run_events"]) == 6


async def test_a_run_whose_task_goes_on_is_left(database: Database, objects: DiskObjects) -> None:
    run_id = await add_ended(database)
    async with database.transaction() as session:
        await update_run(session, run_id, status=RunStatus.RUNNING.value)
        with pytest.raises(Conflict, match="has not ended"):
            await archive_run(session, objects, run_id)
        assert run_id not in [
            due.run_id
            for due in await due_runs(session, RetentionSettings(archive_after_days=0), datetime.now(UTC))
        ]


class _Forgetful(DiskObjects):
    """A disk that says it has written, and keeps something else."""

    async def put(self, digest: str, data: bytes) -> None:
        await super().put(digest, data)
        self._path(digest).write_bytes(data[:-1])


async def test_rows_stay_when_the_archive_does_not_read_back(database: Database, tmp_path: Path) -> None:
    run_id = await add_ended(database)
    before = await rows_of(database, run_id)
    with pytest.raises(Damaged):
        await archived(database, _Forgetful(tmp_path), run_id)
    assert await rows_of(database, run_id) == before
    async with database.transaction() as session:
        assert await get_archive(session, run_id) is None


async def test_age_and_size_say_what_is_due_and_a_day_has_one_sweep(
    database: Database, objects: DiskObjects
) -> None:
    async with database.transaction() as session:
        await session.execute(text("DELETE FROM instance WHERE key = 'retention'"))
    await sweep(database, objects, RetentionSettings(archive_after_days=0))
    old, young = await add_ended(database, days=40), await add_ended(database, days=2, events=50)
    now = datetime.now(UTC)
    async with database.transaction() as session:
        assert await due_runs(session, NEVER, now) == []
        by_age = await due_runs(session, RetentionSettings(archive_after_days=30), now)
        by_size = await due_runs(session, RetentionSettings(archive_after_days=None, keep_mb=0), now)
    assert [(due.run_id, due.why) for due in by_age] == [(old, "age")]
    assert [(due.run_id, due.why) for due in by_size] == [(old, "size"), (young, "size")]
    assert by_size[0].bytes < by_size[1].bytes
    async with alone(database) as free:
        assert free
        assert await sweep_when_due(database, objects, RetentionSettings(archive_after_days=30)) is None
    swept = await sweep_when_due(database, objects, RetentionSettings(archive_after_days=30))
    assert swept is not None
    assert swept.archived == [old]
    assert await sweep_when_due(database, objects, RetentionSettings(archive_after_days=30)) is None


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from hypercode.store.archives import archive_run, restore_run
from hypercode.store.database import Database
from hypercode.store.objects import DiskObjects

def die():
    os.kill(os.getpid(), signal.SIGKILL)

class Killing(DiskObjects):
    moment = ""

    async def put(self, digest, data):
        if self.moment == "before put":
            die()
        await super().put(digest, data)
        if self.moment == "after put":
            die()

    async def get(self, digest):
        data = await super().get(digest)
        if self.moment == "after get":
            die()
        return data

async def main(url, directory, verb, moment, run_id):
    database, objects = Database(url), Killing(Path(directory))
    objects.moment = moment
    async with database.transaction() as session:
        await {"archive": archive_run, "restore": restore_run}[verb](session, objects, run_id)
        if moment == "before commit":
            die()
    die()

url, directory, *orders = sys.argv[1:]
for order in orders:
    if (child := os.fork()) == 0:
        asyncio.run(main(url, directory, *order.split("|")))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL, order
"""

MOMENTS = {
    "archive": ("before put", "after put", "after get", "before commit", "after commit"),
    "restore": ("after get", "before commit", "after commit"),
}


async def test_killed_at_any_moment_nothing_is_lost_or_half(database: Database, tmp_path: Path) -> None:
    objects, orders = DiskObjects(tmp_path), dict[str, tuple[str, bool]]()
    for verb in MOMENTS:
        for moment in MOMENTS[verb]:
            run_id = await add_ended(database)
            if verb == "restore":
                await archived(database, objects, run_id)
            orders[run_id] = f"{verb}|{moment}|{run_id}", (verb == "archive") is (moment == "after commit")
    async with database.transaction() as session:
        events = {run_id: await History(objects).read(session, run_id) for run_id in orders}
    given = [order for order, _ in orders.values()]
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, database.url, str(tmp_path), *given
    )
    assert await killed.wait() == 0
    for run_id, (order, is_archived) in orders.items():
        async with database.transaction() as session:
            assert (await get_archive(session, run_id) is not None) is is_archived, order
            assert await History(objects).read(session, run_id) == events[run_id]
        rows = await rows_of(database, run_id)
        assert [len(rows[name]) for name in ("run_events", "journal")] == (
            [0, 0] if is_archived else [5, 1]
        ), order


async def test_the_command_plans_runs_and_restores(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", database.url)
    monkeypatch.setenv("HYPERCODE_DATA_DIR", str(tmp_path))
    run_id = await add_ended(database, days=900)

    async def call(*arguments: str) -> dict[str, Any]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["retention", *arguments, "--json"])
        assert done.exit_code == 0, done.exception
        return json.loads(done.output)

    planned = await call("plan", "--after-days", "800")
    assert ([due["run_id"] for due in planned["due"]], planned["objects"]) == ([run_id], 0)
    assert (await call("run", "--after-days", "800"))["archived"] == [run_id]
    assert (await call("restore", run_id))["rows"] == 8
    # The archive is an object that no row names any more.
    assert (await call("plan", "--after-days", "1000"))["unnamed_objects"] == 1
    assert (await call("run", "--after-days", "1000")) == {
        "archived": [],
        "archive_bytes": 0,
        "objects_removed": 1,
    }
