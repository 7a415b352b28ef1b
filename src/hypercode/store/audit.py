"""The audit chain of a run: one decision and one outcome a tool call, each row hashed over the one before."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

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
    await session.execute(
        insert(AuditHeadRow).values(run_id=call.run_id, seq=0, hash=GENESIS).on_conflict_do_nothing()
    )
    head = (
        await session.execute(
            select(AuditHeadRow).where(AuditHeadRow.run_id == call.run_id).with_for_update(),
            execution_options={"populate_existing": True},
        )
    ).scalar_one()
    row = AuditRow(
        run_id=call.run_id,
        seq=head.seq + 1,
        organisation_id=call.organisation_id,
        project_id=call.project_id,
        call_id=call.call_id,
        kind=kind,
        tool=call.tool,
        arguments_sha256=call.arguments_sha256,
        body=body,
        at=datetime.now(UTC),
        previous_hash=head.hash,
    )
    row.hash = row_hash(row)
    session.add(row)
    head.seq, head.hash = row.seq, row.hash
    await session.flush()
    return row.seq


def row_hash(row: AuditRow) -> bytes:
    """The hash of a row: over the hash before it and the canonical JSON of all its fields."""
    content = {
        "run_id": row.run_id,
        "seq": row.seq,
        "organisation_id": row.organisation_id,
        "project_id": row.project_id,
        "call_id": row.call_id,
        "kind": row.kind,
        "tool": row.tool,
        "arguments_sha256": row.arguments_sha256,
        "body": row.body,
        "at": row.at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(row.previous_hash + text.encode()).digest()


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
