"""Seals: where the audit chains of runs ended, in one chain over the whole platform.

A run's own chain shows a changed row, but not that the run's whole audit is gone: the seals show that too.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.audit import GENESIS
from hypercode.store.tables import AuditHeadRow, AuditSealRow, InstanceRow, RunRow

HEAD = "audit_seals"
"""The key in ``instance`` under which the end of the chain stands; locking it orders all who seal."""


@dataclass(frozen=True)
class SealHead:
    """The last seal; seq 0 means that there is none."""

    seq: int
    hash: bytes


async def seal_run(session: AsyncSession, run_id: str) -> bool:
    """Seal what a run's chain has grown by; False when nothing is new.

    To be done last in a transaction: it holds the lock of the whole platform until the end.
    """
    head = await _locked_head(session)
    last = SealHead(int(head.value["seq"]), bytes.fromhex(head.value["hash"]))
    run = await session.get(AuditHeadRow, run_id, populate_existing=True)
    if run is None or run.seq <= await _sealed_up_to(session, run_id):
        return False
    seal = AuditSealRow(
        seq=last.seq + 1,
        run_id=run_id,
        run_seq=run.seq,
        run_hash=run.hash,
        at=datetime.now(UTC),
        previous_hash=last.hash,
    )
    seal.hash = seal_hash(seal)
    session.add(seal)
    head.value = {"seq": seal.seq, "hash": seal.hash.hex()}
    await session.flush()
    return True


async def seal_ended_runs(session: AsyncSession, limit: int = 100) -> int:
    """Seal runs that ended without a seal, and rows that came after one; return how many runs that were."""
    sealed = select(AuditSealRow.seq).where(
        AuditSealRow.run_id == AuditHeadRow.run_id, AuditSealRow.run_seq >= AuditHeadRow.seq
    )
    run_ids = await session.scalars(
        select(AuditHeadRow.run_id)
        .join(RunRow, RunRow.id == AuditHeadRow.run_id)
        .where(RunRow.ended_at.is_not(None), ~sealed.exists())
        .order_by(RunRow.ended_at, RunRow.id)
        .limit(limit)
    )
    return sum([await seal_run(session, run_id) for run_id in run_ids.all()])


async def seal_head(session: AsyncSession) -> SealHead:
    """Where the platform's chain ends, by what is written beside it."""
    row = await session.get(InstanceRow, HEAD, populate_existing=True)
    return SealHead(int(row.value["seq"]), bytes.fromhex(row.value["hash"])) if row else SealHead(0, GENESIS)


def seal_hash(seal: AuditSealRow) -> bytes:
    """The hash of a seal: over the hash before it and the canonical JSON of its fields."""
    content = {
        "seq": seal.seq,
        "run_id": seal.run_id,
        "run_seq": seal.run_seq,
        "run_hash": seal.run_hash.hex(),
        "at": seal.at.astimezone(UTC).isoformat(timespec="microseconds"),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(seal.previous_hash + text.encode()).digest()


async def _locked_head(session: AsyncSession) -> InstanceRow:
    await session.execute(
        insert(InstanceRow).values(key=HEAD, value={"seq": 0, "hash": GENESIS.hex()}).on_conflict_do_nothing()
    )
    found = await session.execute(
        select(InstanceRow).where(InstanceRow.key == HEAD).with_for_update(),
        execution_options={"populate_existing": True},
    )
    return found.scalar_one()


async def _sealed_up_to(session: AsyncSession, run_id: str) -> int:
    found = await session.scalar(select(func.max(AuditSealRow.run_seq)).where(AuditSealRow.run_id == run_id))
    return found or 0
