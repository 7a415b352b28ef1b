"""``hypercode task watch``: a run from its first event to its end, over a database that drops every connection."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anyio import fail_after
from sqlalchemy import text
from tests.fixtures.rows import make_run

from hypercode.domain.attestation import Grade
from hypercode.domain.event import NoticeRaised, Payload, RunFinished, TestCounts
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.store.database import Database
from hypercode.store.runs import get_run, update_run

pytestmark = pytest.mark.anyio


def notice(number: int) -> NoticeRaised:
    return NoticeRaised(level="info", code="N", message=f"number {number} \x1b[31m", hint="")


def finished() -> RunFinished:
    return RunFinished(
        status=RunStatus.SUCCEEDED, proof=Grade.FIXED,
        reason="As seen.", verified=True, attestation=None, diff=None, protected_paths=[],
        tests=TestCounts(passed=1, failed=0), cost=0, tokens_in=0, tokens_out=0, turns=1, elapsed_s=1, error_code=None,
        error_message=None, error_hint=None,
    )  # fmt: skip


@pytest.fixture
async def own(own_database_url: str) -> AsyncIterator[Database]:
    database = Database(own_database_url)
    yield database
    await database.dispose()


async def append(database: Database, run_id: str, key: str, *payloads: Payload) -> None:
    async with database.transaction() as session:
        await log.append(session, run_id, key, payloads)


async def finish(database: Database, run_id: str) -> None:
    async with database.transaction() as session:
        await log.append(session, run_id, "end", [finished()])
        await update_run(session, run_id, status=RunStatus.SUCCEEDED.value)


async def watching(database: Database, data_dir: Path, *arguments: str) -> Process:
    environment = os.environ | {"HYPERCODE_DATABASE_URL": database.url, "HYPERCODE_DATA_DIR": str(data_dir)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hypercode",
        "task",
        "watch",
        *arguments,
        env=environment,
        stdout=PIPE,
        stderr=PIPE,
    )


async def lines(process: Process) -> AsyncIterator[str]:
    assert process.stdout is not None
    async for line in process.stdout:
        yield line.decode().rstrip("\n")


async def test_a_live_run_is_followed_over_lost_connections_to_its_end(own: Database, tmp_path: Path) -> None:
    run_id = await make_run(own)
    await append(own, run_id, "s0", notice(0))
    watcher = await watching(own, tmp_path, run_id, "--json")
    seen: list[int] = []
    with fail_after(60):
        shown = lines(watcher)
        seen.append(json.loads(await anext(shown))["seq"])
        async with own.transaction() as session:
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        fresh = Database(own.url)
        for number in range(1, 30):
            await append(fresh, run_id, f"s{number}", notice(number))
        await finish(fresh, run_id)
        await fresh.dispose()
        last = ""
        async for last in shown:
            seen.append(json.loads(last)["seq"])
        assert await watcher.wait() == 0
    assert seen == list(range(1, 32))
    assert json.loads(last)["payload"]["diff"] == ""


async def test_an_ended_run_is_shown_again_in_plain_words(own: Database, tmp_path: Path) -> None:
    run_id = await make_run(own)
    await append(own, run_id, "s", notice(1), notice(2), notice(3))
    await finish(own, run_id)
    async with own.transaction() as session:
        task_id = (await get_run(session, run_id)).task_id
    with fail_after(60):
        watcher = await watching(own, tmp_path, task_id, "--after", "2")
        shown = [line async for line in lines(watcher)]
        assert await watcher.wait() == 0
    assert shown[0].strip() == "! number 3"
    assert "As seen." in shown
    assert not any("\x1b" in line or "number 2" in line for line in shown)


async def test_ctrl_c_ends_the_watching_and_not_the_run(own: Database, tmp_path: Path) -> None:
    run_id = await make_run(own)
    await append(own, run_id, "s", notice(1))
    with fail_after(60):
        watcher = await watching(own, tmp_path, run_id, "--json", "--after", "0")
        await anext(lines(watcher))
        watcher.send_signal(signal.SIGINT)
        _, said = await watcher.communicate()
        assert watcher.returncode == 130, said.decode()
    assert "The run goes on" in said.decode()
    async with own.transaction() as session:
        assert (await get_run(session, run_id)).status == RunStatus.QUEUED.value
