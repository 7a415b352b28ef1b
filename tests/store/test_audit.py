"""A run's audit chain shows any changed, dropped or moved row."""

import pytest
from psycopg import IntegrityError
from sqlalchemy import text

from hypercode.domain.ids import new_id
from hypercode.store.audit import AuditedCall, append_audit, read_audit, verify_chain
from hypercode.store.database import Database
from hypercode.store.journal import claim_key, read_key, reconcile
from hypercode.store.ledger import end_call

pytestmark = pytest.mark.anyio


def call(run_id: str, call_id: str) -> AuditedCall:
    return AuditedCall(run_id, "org", "prj", call_id, "fs_write", "0" * 64)


async def chain(database: Database, length: int = 6) -> str:
    run_id = new_id("run")
    for number in range(length):
        async with database.transaction() as session:
            kind = "decision" if number % 2 == 0 else "outcome"
            await append_audit(
                session, call(run_id, f"c{number // 2}"), kind, {"n": number, "text": 'ü"\\', "f": 1.5}
            )
    return run_id


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit SET body = '{\"n\": 9}' WHERE run_id = :run AND seq = 3", "row 3 was changed"),
        ("UPDATE audit SET tool = 'fs_read' WHERE run_id = :run AND seq = 1", "row 1 was changed"),
        (
            "UPDATE audit SET at = at + interval '1 microsecond' WHERE run_id = :run AND seq = 2",
            "row 2 was changed",
        ),
        ("DELETE FROM audit WHERE run_id = :run AND seq = 2", "row 2 is missing"),
        ("DELETE FROM audit WHERE run_id = :run AND seq = 6", "the end of the chain is missing"),
        ("DELETE FROM audit WHERE run_id = :run", "the end of the chain is missing"),
        (
            "UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE run_id = :run AND seq IN (2, 3); ",
            "row 1 is missing",
        ),
        (
            "UPDATE audit SET hash = decode(repeat('00', 32), 'hex') WHERE run_id = :run AND seq = 6",
            "row 6 was changed",
        ),
    ],
)
async def test_tampering_is_found(database: Database, statement: str, problem: str) -> None:
    run_id = await chain(database)
    async with database.transaction() as session:
        assert await verify_chain(session, run_id) == await verify_chain(session, run_id)
        assert (await verify_chain(session, run_id)).ok
    async with database.transaction() as session:
        await session.execute(text(statement), {"run": run_id})
    async with database.transaction() as session:
        report = await verify_chain(session, run_id)
    assert (report.ok, report.problem) == (False, problem)


async def test_a_journal_key_is_taken_once_and_a_dead_owners_calls_end_unknown(database: Database) -> None:
    run_id = new_id("run")
    async with database.transaction() as session:
        assert await claim_key(session, call(run_id, "k"), "k", "dead") is None
        await append_audit(session, call(run_id, "k"), "decision", {"owner": "dead"})
        assert await claim_key(session, call(run_id, "mine"), "mine", "alive") is None
        await append_audit(session, call(run_id, "mine"), "decision", {"owner": "alive"})
    async with database.transaction() as session:
        earlier = await claim_key(session, call(run_id, "k"), "k", "alive")
        assert earlier is not None
        assert (earlier.state, earlier.owner) == ("running", "dead")
    for _ in range(2):
        async with database.transaction() as session:
            await reconcile(session, "alive")
    async with database.single_statements() as connection:
        with pytest.raises(IntegrityError):
            await end_call(connection, call(run_id, "k"), "k", {"owner": "dead"}, {"late": True})
        await end_call(
            connection, call(run_id, "mine"), "mine", {"owner": "alive", "outcome": "OK"}, {"ok": True}
        )
    async with database.transaction() as session:
        states = {key: await read_key(session, run_id, key) for key in ("k", "mine")}
        rows = await read_audit(session, run_id)
        assert (await verify_chain(session, run_id)).ok
    assert {key: row and row.state for key, row in states.items()} == {"k": "unknown", "mine": "done"}
    assert [(row.call_id, row.kind, row.body.get("outcome")) for row in rows] == [
        ("k", "decision", None),
        ("mine", "decision", None),
        ("k", "outcome", "unknown"),
        ("mine", "outcome", "OK"),
    ]
