"""kill -9 in the middle of a call: one decision, one outcome, no second effect, and the caller is told."""

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import Process
from sqlalchemy import text
from tests.tools.killing import server

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import Unavailable
from hypercode.store.audit import read_audit, verify_chain
from hypercode.store.audit_proof import prove_audit
from hypercode.store.audit_seals import seal_run
from hypercode.store.database import Database
from hypercode.store.journal import TOOLS
from hypercode.store.tables import AuditHeadRow

pytestmark = pytest.mark.anyio


async def test_killed_in_two_calls(database: Database, minting: Any, new_run: Any, sockets: Path) -> None:
    run = await new_run()
    token = minting.token(run)
    codes: dict[str, list[str]] = {"fs_write": [], "fs_read": []}
    with anyio.fail_after(180):
        async with server(database, minting.public_hex, sockets) as process:
            await both_calls_until_killed(sockets / "tools.sock", token, process)
        assert await audit_of(database, run.id) == {"fs_write": [None], "fs_read": [None]}
        async with server(database, minting.public_hex, sockets):
            assert await audit_of(database, run.id) == {
                "fs_write": [None, "unknown"],
                "fs_read": [None, "unknown"],
            }
            async with ToolSession(sockets / "tools.sock", token) as tools:
                for tool in ("fs_write", "fs_read", "fs_write", "fs_read"):
                    codes[tool].append((await tools.call(tool, {}, key=f"turn-1-{tool}")).code)
    # A write is never run again; a read is, once, and has a pair of audit rows of its own.
    assert codes == {"fs_write": ["UNCERTAIN"] * 2, "fs_read": ["OK"] * 2}
    marks = {name: len((sockets / name).read_text().splitlines()) for name in ("write", "read")}
    assert marks == {"write": 1, "read": 2}
    assert await audit_of(database, run.id) == {
        "fs_write": [None, "unknown"],
        "fs_read": [None, "unknown", None, "OK"],
    }
    # Sealed as at the end of a run, what was written before and after the kill is one chain that holds.
    async with database.transaction() as session:
        assert await seal_run(session, run.id)
    async with database.transaction() as session:
        proof = await prove_audit(session, run_id=run.id)
    assert (proof.ok, proof.rows) == (True, 6), proof.problem


async def test_what_postgres_still_does_for_a_killed_process_is_ended(
    database: Database, minting: Any, new_run: Any, sockets: Path
) -> None:
    run = await new_run()
    token, path = minting.token(run), sockets / "tools.sock"
    with anyio.fail_after(180):
        async with server(database, minting.public_hex, sockets, tools="marks") as process:
            async with ToolSession(path, token) as tools:
                assert (await tools.call("fs_write", {"mark": "first"}, key="first")).ok
            async with database.transaction() as session:
                # Whoever holds the head of the run's chain keeps the next call from being taken.
                await session.get(AuditHeadRow, run.id, with_for_update=True)
                async with anyio.create_task_group() as group:
                    group.start_soon(call_until_killed, path, token)
                    await until_one_waits(database)
                    os.kill(process.pid, signal.SIGKILL)
                    await process.wait()
                async with server(database, minting.public_hex, sockets, tools="marks"):
                    await session.rollback()
                    await until_none_waits(database)
                    assert await audit_of(database, run.id) == {"fs_write": [None, "OK"], "fs_read": []}
                    async with ToolSession(path, token) as tools:
                        assert (await tools.call("fs_write", {"mark": "late"}, key="late")).ok
    assert (sockets / "marks").read_text().split() == ["first", "late"]
    assert await audit_of(database, run.id) == {"fs_write": [None, "OK"] * 2, "fs_read": []}


async def call_until_killed(path: Path, token: str) -> None:
    with pytest.raises(Unavailable):
        async with ToolSession(path, token) as tools:
            await tools.call("fs_write", {"mark": "late"}, key="late")


async def waiting(database: Database) -> int:
    """How many connections of a tools process wait for a lock."""
    async with database.transaction() as session:
        found = await session.execute(
            text(
                "SELECT pid FROM pg_stat_activity WHERE application_name = :name AND wait_event_type = 'Lock'"
            ),
            {"name": TOOLS},
        )
        return len(found.all())


async def until_one_waits(database: Database) -> None:
    while await waiting(database) == 0:
        await anyio.lowlevel.checkpoint()


async def until_none_waits(database: Database) -> None:
    while await waiting(database) > 0:
        await anyio.lowlevel.checkpoint()


async def both_calls_until_killed(path: Path, token: str, process: Process) -> None:
    """Call both tools at once; kill the server when both have begun."""
    begun: list[str] = []

    async def on_progress(message: str) -> None:
        begun.append(message)
        if len(begun) == 2:
            os.kill(process.pid, signal.SIGKILL)

    async with ToolSession(path, token) as tools:

        async def call(tool: str) -> None:
            with pytest.raises(Unavailable):
                await tools.call(tool, {}, key=f"turn-1-{tool}", on_progress=on_progress)

        async with anyio.create_task_group() as group:
            group.start_soon(call, "fs_write")
            group.start_soon(call, "fs_read")


async def audit_of(database: Database, run_id: str) -> dict[str, list[str | None]]:
    """The outcomes of each tool's rows, None for a decision."""
    async with database.transaction() as session:
        rows = await read_audit(session, run_id)
        assert (await verify_chain(session, run_id)).ok
    return {
        tool: [row.body.get("outcome") for row in rows if row.tool == tool]
        for tool in ("fs_write", "fs_read")
    }
