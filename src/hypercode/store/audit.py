"""The audit chain of a run: one decision and one outcome a tool call, each row hashed over the one before."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from hypercode.store.database import statements_of
from hypercode.store.tables import AuditHeadRow, AuditRow

GENESIS = bytes(32)


@dataclass(frozen=True)
class AuditedCall:
    """The call that audit rows speak of."""

    run_id: str
    organisation_id: str
    project_id: str
    call_id: str
    tool: str
    arguments_sha256: str


@dataclass(frozen=True)
class ChainReport:
    """Whether a run's chain holds; ``problem`` names the first row that does not."""

    ok: bool
    length: int
    problem: str = ""


async def append_audit(session: AsyncSession, call: AuditedCall, kind: str, body: dict[str, Any]) -> int:
    """Append a row and return its seq; the lock on the run's head orders writers."""
    connection = await statements_of(session)
    done = await (await connection.execute(_APPEND, values(call, kind, body))).fetchone()
    assert done is not None  # an INSERT without a condition
    return done[0]


def appending(condition: str = "") -> str:
    """SQL of two CTEs, the last named ``appended``: the head moves on, and the row stands behind the one before.

    ``condition`` is a FROM clause; where it gives no row, nothing is appended. Parameters come from ``values``.
    """
    return f"""
        head AS (
            INSERT INTO audit_heads AS h (run_id, seq, previous_hash, hash)
            SELECT %(run_id)s, 1, CAST(%(genesis)s AS bytea), {_hash("%(genesis)s", "1")} {condition}
            ON CONFLICT (run_id) DO UPDATE SET
                seq = h.seq + 1, previous_hash = h.hash, hash = {_hash("h.hash", "h.seq + 1")}
            RETURNING seq, previous_hash, hash
        ),
        appended AS (
            INSERT INTO audit (run_id, seq, organisation_id, project_id, call_id, kind, tool, arguments_sha256,
                body, at, previous_hash, hash)
            SELECT %(run_id)s, seq, %(organisation_id)s, %(project_id)s, %(call_id)s, %(kind)s, %(tool)s, %(arguments_sha256)s,
                CAST(%(body)s AS jsonb), CAST(%(at)s AS timestamptz), previous_hash, hash
            FROM head
            RETURNING seq
        )"""


def _hash(previous: str, seq: str) -> str:
    content = f"CAST(%(before_seq)s AS text) || ({seq})::text || CAST(%(after_seq)s AS text)"
    return f"sha256(CAST({previous} AS bytea) || convert_to({content}, 'UTF8'))"


def values(call: AuditedCall, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """The parameters of ``appending`` for one row."""
    at = datetime.now(UTC)
    fields = {**vars(call), "kind": kind}
    before_seq, after_seq = _around_seq({**fields, "body": body, "at": _moment(at)})
    return {
        **fields,
        "body": json.dumps(body, ensure_ascii=False),
        "at": at,
        "genesis": GENESIS,
        "before_seq": before_seq,
        "after_seq": after_seq,
    }


_APPEND = f"WITH {appending()} SELECT seq FROM appended".encode()


def row_hash(row: AuditRow) -> bytes:
    """The hash of a row: over the hash before it and the canonical JSON of all its fields."""
    content = {
        "run_id": row.run_id,
        "organisation_id": row.organisation_id,
        "project_id": row.project_id,
        "call_id": row.call_id,
        "kind": row.kind,
        "tool": row.tool,
        "arguments_sha256": row.arguments_sha256,
        "body": row.body,
        "at": _moment(row.at),
    }
    before_seq, after_seq = _around_seq(content)
    return hashlib.sha256(row.previous_hash + f"{before_seq}{row.seq}{after_seq}".encode()).digest()


def _around_seq(content: dict[str, Any]) -> tuple[str, str]:
    """The canonical JSON of a row before and after its seq, which the database gives."""
    canonical = json.dumps({**content, "seq": 0}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Quotes inside of strings are escaped and only the tool's name follows, so the last such place is the field.
    before, mark, after = canonical.rpartition('"seq":0,"tool":')
    return f'{before}"seq":', mark.removeprefix('"seq":0') + after


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


async def verify_chain(session: AsyncSession, run_id: str) -> ChainReport:
    """Walk a run's chain and report the first row that was changed, dropped or moved."""
    rows = await read_audit(session, run_id)
    previous = GENESIS
    for position, row in enumerate(rows, start=1):
        if row.seq != position:
            return ChainReport(False, len(rows), f"row {position} is missing")
        if row.previous_hash != previous:
            return ChainReport(False, len(rows), f"row {position} does not follow the row before it")
        if row_hash(row) != row.hash:
            return ChainReport(False, len(rows), f"row {position} was changed")
        previous = row.hash
    head = await session.get(AuditHeadRow, run_id, populate_existing=True)
    if (head.seq, head.hash) != (len(rows), previous) if head else bool(rows):
        return ChainReport(False, len(rows), "the end of the chain is missing")
    return ChainReport(True, len(rows))


async def read_audit(session: AsyncSession, run_id: str) -> Sequence[AuditRow]:
    """All rows of a run in order, fresh from the database."""
    found = await session.execute(
        select(AuditRow).where(AuditRow.run_id == run_id).order_by(AuditRow.seq),
        execution_options={"populate_existing": True},
    )
    return found.scalars().all()


async def open_decisions(session: AsyncSession, owner: str) -> Sequence[AuditRow]:
    """Decisions of other owners that no outcome followed."""
    outcome = aliased(AuditRow)
    answered = (
        select(outcome.seq)
        .where(
            outcome.run_id == AuditRow.run_id,
            outcome.call_id == AuditRow.call_id,
            outcome.kind == "outcome",
        )
        .exists()
    )
    found = await session.execute(
        select(AuditRow)
        .where(AuditRow.kind == "decision", AuditRow.body["owner"].astext != owner, ~answered)
        .order_by(AuditRow.run_id, AuditRow.seq)
    )
    return found.scalars().all()
