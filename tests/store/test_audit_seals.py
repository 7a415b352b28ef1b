"""The whole audit: what is changed, dropped, moved or forged anywhere in it is found and named."""

import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text

from hypercode.domain.ids import new_id
from hypercode.store.audit import AuditedCall, append_audit
from hypercode.store.audit_proof import AuditProof, prove_audit
from hypercode.store.audit_seals import SealHead, seal_ended_runs, seal_head, seal_run
from hypercode.store.database import Database, psycopg_url
from hypercode.store.journal import claim_key, reconcile

pytestmark = pytest.mark.anyio

RUNS = tuple(f"run_{n:032x}" for n in (1, 2, 3))


@pytest.fixture
async def database(own_database_url: str) -> AsyncIterator[Database]:
    """One of its own: other tests leave broken chains in theirs."""
    database = Database(own_database_url)
    yield database
    async with database.transaction() as session:
        for table in ("audit", "audit_heads", "audit_seals", "journal", "runs", "tasks", "projects", "users"):
            await session.execute(text(f"DELETE FROM {table}"))
        await session.execute(text("DELETE FROM instance WHERE key = 'audit_seals'"))
    await database.dispose()


def call(run_id: str, call_id: str) -> AuditedCall:
    return AuditedCall(run_id, "org", "prj", call_id, "fs_write", "0" * 64)


async def calls(database: Database, run_id: str, *call_ids: str) -> None:
    async with database.transaction() as session:
        for call_id in call_ids:
            await append_audit(
                session, call(run_id, call_id), "decision", {"effect": "allow", "rule": 'ü"\\\x1b'}
            )
            await append_audit(session, call(run_id, call_id), "outcome", {"outcome": "OK", "f": 1.5})


async def seal(database: Database, run_id: str) -> bool:
    async with database.transaction() as session:
        return await seal_run(session, run_id)


async def proof(database: Database, **options: object) -> AuditProof:
    async with database.transaction() as session:
        return await prove_audit(session, **options)  # type: ignore[arg-type]


async def three_runs(database: Database) -> None:
    """Two sealed runs, one of them twice, and one that goes on."""
    for run_id in RUNS:
        await calls(database, run_id, "a", "b")
    assert await seal(database, RUNS[0])
    assert await seal(database, RUNS[1])
    await calls(database, RUNS[0], "late")
    assert await seal(database, RUNS[0])


async def test_what_was_written_holds(database: Database) -> None:
    assert await proof(database) == AuditProof(True, 0, 0, 0, 0, SealHead(0, bytes(32)))
    await three_runs(database)
    assert not await seal(database, RUNS[0])
    assert not await seal(database, "run_none")
    found = await proof(database)
    assert (found.ok, found.runs, found.rows, found.seals) == (True, 3, 14, 3), found.problem
    one = await proof(database, run_id=RUNS[0])
    assert (one.ok, one.runs, one.rows, one.seals) == (True, 1, 6, 3)


ONE, TWO, THREE = RUNS
REHASHED = f"""
    UPDATE audit SET hash = sha256(hash) WHERE run_id = '{ONE}' AND seq = 6;
    UPDATE audit_heads SET hash = sha256(hash) WHERE run_id = '{ONE}'"""


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        *[
            (f"UPDATE audit SET {change} WHERE run_id = '{THREE}' AND seq = 2", f"run {THREE}: row 2 was changed")
            for change in (
                "organisation_id = 'x'",
                "project_id = 'x'",
                "call_id = 'x'",
                "kind = 'x'",
                "tool = 'fs_read'",
                "arguments_sha256 = repeat('1', 64)",
                "body = body || '{\"outcome\": \"DENIED\"}'",
                "at = at - interval '1 hour'",
                "hash = sha256(hash)",
            )
        ],
        (
            f"UPDATE audit SET previous_hash = hash WHERE run_id = '{THREE}' AND seq = 2",
            f"run {THREE}: row 2 does not follow the row before it",
        ),
        (f"DELETE FROM audit WHERE run_id = '{THREE}' AND seq = 2", f"run {THREE}: row 2 is missing"),
        (f"DELETE FROM audit WHERE run_id = '{THREE}' AND seq = 4", f"run {THREE}: the end of the chain is missing"),
        (f"DELETE FROM audit WHERE run_id = '{THREE}'", f"run {THREE}: all rows are missing"),
        (f"DELETE FROM audit_heads WHERE run_id = '{THREE}'", f"run {THREE}: the end of the chain is missing"),
        (
            f"""UPDATE audit SET seq = -seq WHERE run_id = '{THREE}' AND seq IN (1, 2);
            UPDATE audit SET seq = 3 + seq WHERE run_id = '{THREE}' AND seq < 0""",
            f"run {THREE}: row 1 does not follow the row before it",
        ),
        # A whole run disappears, its head with it; or its tail; or it is hashed anew: only the seals know.
        (
            f"DELETE FROM audit WHERE run_id = '{TWO}'; DELETE FROM audit_heads WHERE run_id = '{TWO}'",
            f"seal 2: row 4 of run {TWO} is missing",
        ),
        (
            f"""DELETE FROM audit WHERE run_id = '{TWO}' AND seq > 2; UPDATE audit_heads SET seq = 2, hash =
            (SELECT hash FROM audit WHERE run_id = '{TWO}' AND seq = 2) WHERE run_id = '{TWO}'""",
            f"seal 2: row 4 of run {TWO} is missing",
        ),
        (REHASHED, f"seal 3: row 6 of run {ONE} was changed"),
        ("DELETE FROM audit_seals WHERE seq = 2", "seal 2 is missing"),
        ("DELETE FROM audit_seals WHERE seq = 3", "the end of the chain of seals is missing"),
        ("DELETE FROM instance WHERE key = 'audit_seals'", "the end of the chain of seals is missing"),
        *[
            (f"UPDATE audit_seals SET {change} WHERE seq = 2", "seal 2 was changed")
            for change in (
                "run_id = 'x'",
                "run_seq = 3",
                "run_hash = sha256(run_hash)",
                "at = at - interval '1 s'",
                "hash = sha256(hash)",
            )
        ],
        (
            "UPDATE audit_seals SET seq = -seq WHERE seq > 1; UPDATE audit_seals SET seq = seq + 5 WHERE seq < 0",
            "seal 2 does not follow the seal before it",
        ),
        (
            f"""INSERT INTO audit_seals SELECT 4, '{THREE}', 4, a.hash, now(), s.hash, sha256(s.hash)
            FROM audit a, audit_seals s WHERE a.run_id = '{THREE}' AND a.seq = 4 AND s.seq = 3""",
            "seal 4 was changed",
        ),
    ],
)  # fmt: skip
async def test_tampering_is_found_and_named(database: Database, statement: str, problem: str) -> None:
    await three_runs(database)
    async with database.transaction() as session:
        for part in statement.split(";"):
            await session.execute(text(part))
    found = await proof(database)
    assert not found.ok
    assert found.problem.startswith(problem)


async def test_a_call_that_only_the_journal_knows_is_found(database: Database) -> None:
    async with database.transaction() as session:
        assert await claim_key(session, call(ONE, "k"), "k", "owner") is None
    assert (await proof(database)).problem == f"run {ONE}: the decision on call k is missing"


async def test_an_anchor_shows_a_chain_that_was_written_anew(database: Database) -> None:
    await three_runs(database)
    async with database.transaction() as session:
        kept = await seal_head(session)
    anchors = {kept.seq: kept.hash}
    assert (await proof(database, anchors=anchors)).ok
    await calls(database, TWO, "c")
    await seal(database, TWO)
    assert (await proof(database, anchors=anchors)).ok
    # Whoever owns the database can empty it and make chains that hold in themselves.
    async with database.transaction() as session:
        await session.execute(text("TRUNCATE audit, audit_heads, audit_seals"))
        await session.execute(text("DELETE FROM instance WHERE key = 'audit_seals'"))
    assert (await proof(database, anchors=anchors)).problem == "seal 3 of the anchor is missing"
    await three_runs(database)
    assert (await proof(database)).ok
    assert "seal 3 is not the one of the anchor" in (await proof(database, anchors=anchors)).problem


async def test_many_seal_at_once_and_the_chain_holds(database: Database) -> None:
    """Runs that grow while they are sealed, each by two workers, with nothing to order them but the database."""
    runs = [new_id("run") for _ in range(6)]

    async def work(run_id: str) -> None:
        for number in range(5):
            await calls(database, run_id, f"c{number}")
            await seal(database, run_id)

    async def sweep(run_id: str) -> None:
        for _ in range(5):
            await seal(database, run_id)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            for run_id in runs:
                group.start_soon(work, run_id)
                group.start_soon(sweep, run_id)
    found = await proof(database)
    assert (found.ok, found.rows) == (True, 60), found.problem
    assert found.seals >= len(runs)


async def ended_run(database: Database, run_id: str) -> None:
    ids = {
        "org": new_id("organisation"),
        "usr": new_id("user"),
        "prj": new_id("project"),
        "tsk": new_id("task"),
    }
    async with database.transaction() as session:
        for statement in (
            "INSERT INTO organisations (id, name) VALUES (:org, 'o')",
            "INSERT INTO users (id, organisation_id, email, name, role, password_hash) VALUES (:usr, :org, :usr, '', 'admin', '')",
            "INSERT INTO projects (id, organisation_id, name, source_kind, source, environment) VALUES (:prj, :org, 'p', 'git', '', '{}')",
            "INSERT INTO tasks (id, organisation_id, project_id, created_by, prompt, model, routing, checks, require, budget, include_dirty) "
            "VALUES (:tsk, :org, :prj, :usr, '', '', '', '[]', '', '{}', false)",
            "INSERT INTO runs (id, organisation_id, project_id, task_id, goal, role, model, status, workspace_id, grant_token, ended_at) "
            "VALUES (:run, :org, :prj, :tsk, '', 'coder', '', 'succeeded', :run, '', now())",
        ):
            await session.execute(text(statement), {**ids, "run": run_id})


async def test_the_sweep_seals_what_ended_unsealed_and_what_came_late(database: Database) -> None:
    await ended_run(database, ONE)
    await calls(database, ONE, "a")
    await calls(database, THREE, "still running")
    assert (await proof(database)).unsealed == 1
    for expected in (1, 0):
        async with database.transaction() as session:
            assert await seal_ended_runs(session) == expected
    # A tools process died in the middle of a call; the next one says that its outcome is unknown.
    async with database.transaction() as session:
        await append_audit(session, call(ONE, "killed"), "decision", {"owner": "dead"})
        await seal_run(session, ONE)
    async with database.transaction() as session:
        assert await reconcile(session, "alive") == 1
    assert (await proof(database)).unsealed == 1
    async with database.transaction() as session:
        assert await seal_ended_runs(session) == 1
    found = await proof(database)
    assert (found.ok, found.seals, found.unsealed) == (True, 3, 0), found.problem


async def test_a_large_audit_is_walked_in_seconds_and_not_loaded(database: Database) -> None:
    """2,000 rows here; docs/reference/audit.md has the figure for 100,000."""
    for number in range(10):
        run_id = f"run_{number:032x}"
        await calls(database, run_id, *(f"c{n}" for n in range(100)))
        await seal(database, run_id)
    started = time.monotonic()
    found = await proof(database)
    assert (found.ok, found.rows, found.seals) == (True, 2000, 10), found.problem
    assert time.monotonic() - started < 10
    assert re.fullmatch(r"[0-9a-f]{64}", found.head.hash.hex())


async def test_an_outsider_can_check_it_with_the_code_of_the_reference(
    database: Database, own_database_url: str
) -> None:
    await three_runs(database)
    page = (Path(__file__).parents[2] / "docs/reference/audit.md").read_text()
    url = psycopg_url(own_database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    code = page.partition("```python\n")[2].partition("```")[0].replace("postgresql://…", url)

    async def check() -> subprocess.CompletedProcess[bytes]:
        return await anyio.run_process([sys.executable, "-c", code], check=False)

    assert (await check()).returncode == 0
    async with database.transaction() as session:
        await session.execute(text(f"UPDATE audit SET tool = 'x' WHERE run_id = '{TWO}' AND seq = 2"))
    assert b"AssertionError" in (await check()).stderr
