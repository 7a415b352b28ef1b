"""Does the whole audit hold? Every run's chain and the chain of seals, walked in one snapshot of the database."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Row, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncResult, AsyncSession

from hypercode.store.audit import GENESIS, row_hash
from hypercode.store.audit_seals import SealHead, seal_hash, seal_head
from hypercode.store.journal import WORKER
from hypercode.store.tables import AuditHeadRow, AuditRow, AuditSealRow, JournalRow, RunRow

ROWS_AT_ONCE = 2000

ROW = AuditRow.__table__.c
SEAL = AuditSealRow.__table__.c
RUN_HEAD = AuditHeadRow.__table__.c


@dataclass(frozen=True)
class AuditProof:
    """What was walked, and the first bad place if there is one. ``unsealed``: ended runs with rows after their seal."""

    ok: bool
    runs: int
    rows: int
    seals: int
    unsealed: int
    head: SealHead
    problem: str = ""


class Broken(Exception):
    """The audit does not hold; the message names the first bad place."""


async def prove_audit(
    session: AsyncSession, *, run_id: str | None = None, anchors: Mapping[int, bytes] | None = None
) -> AuditProof:
    """Walk the seals, then the rows of all runs or of one. ``anchors``: hashes of seals that were kept elsewhere.

    To be the first thing in its transaction: all of it is read as of one moment, while others go on writing.
    """
    await session.connection(
        execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    walk = _Walk(session, run_id)
    problem = ""
    try:
        await walk.seals(dict(anchors or {}))
        await walk.rows()
        await walk.heads_without_rows()
        await walk.calls_without_rows()
    except Broken as broken:
        problem = str(broken)
    return AuditProof(
        ok=not problem,
        runs=walk.seen_runs,
        rows=walk.seen_rows,
        seals=walk.seen_seals,
        unsealed=await walk.unsealed(),
        head=await seal_head(session),
        problem=problem,
    )


class _Walk:
    """One walk through the audit, and how far it came."""

    def __init__(self, session: AsyncSession, run_id: str | None) -> None:
        self._session = session
        self._run_id = run_id
        self.seen_runs = self.seen_rows = self.seen_seals = 0

    async def seals(self, anchors: dict[int, bytes]) -> None:
        """Each seal follows the one before, and the row that it sealed is there as it was."""
        kept = and_(ROW.run_id == SEAL.run_id, ROW.seq == SEAL.run_seq)
        statement = (
            select(AuditSealRow.__table__, ROW.hash.label("row_hash"))
            .select_from(AuditSealRow.__table__.outerjoin(AuditRow.__table__, kept))
            .order_by(SEAL.seq)
        )
        previous, position = GENESIS, 0
        async with self._streamed(statement) as seals:
            async for seal in seals:
                position += 1
                _check_seal(seal, position, previous)
                if anchors.pop(position, seal.hash) != seal.hash:
                    raise Broken(f"seal {position} is not the one of the anchor: the chain was written anew")
                previous, self.seen_seals = seal.hash, position
        if await seal_head(self._session) != SealHead(position, previous):
            raise Broken(f"the end of the chain of seals is missing, after seal {position}")
        if anchors:
            raise Broken(f"seal {min(anchors)} of the anchor is missing")

    async def rows(self) -> None:
        """Each row of a run follows the one before, up to the head of the run."""
        current = _Chain("", 0, GENESIS)
        async with self._streamed(self._rows()) as rows:
            async for row in rows:
                if row.run_id != current.run_id:
                    current.end()
                    current = _Chain(row.run_id, row.head_seq, row.head_hash)
                    self.seen_runs += 1
                current.follow(row)
                self.seen_rows += 1
        current.end()

    def _rows(self) -> Select[Any]:
        statement = (
            select(AuditRow.__table__, RUN_HEAD.seq.label("head_seq"), RUN_HEAD.hash.label("head_hash"))
            .select_from(AuditRow.__table__.outerjoin(AuditHeadRow.__table__, RUN_HEAD.run_id == ROW.run_id))
            .order_by(ROW.run_id, ROW.seq)
        )
        return statement if self._run_id is None else statement.where(ROW.run_id == self._run_id)

    async def heads_without_rows(self) -> None:
        """A run whose rows are all gone still has its head."""
        rows = select(AuditRow.seq).where(AuditRow.run_id == AuditHeadRow.run_id)
        statement = select(AuditHeadRow.run_id).where(~rows.exists()).order_by(AuditHeadRow.run_id).limit(1)
        if self._run_id is not None:
            statement = statement.where(AuditHeadRow.run_id == self._run_id)
        if lost := await self._session.scalar(statement):
            raise Broken(f"run {lost}: all rows are missing")

    async def calls_without_rows(self) -> None:
        """A call that the journal knows was decided, so its decision stands in the audit."""
        decided = select(AuditRow.seq).where(
            AuditRow.run_id == JournalRow.run_id,
            AuditRow.call_id == JournalRow.key,
            AuditRow.kind == "decision",
        )
        statement = (
            select(JournalRow.run_id, JournalRow.key)
            .where(JournalRow.owner != WORKER, ~decided.exists())
            .order_by(JournalRow.run_id, JournalRow.key)
            .limit(1)
        )
        if self._run_id is not None:
            statement = statement.where(JournalRow.run_id == self._run_id)
        if lost := (await self._session.execute(statement)).first():
            raise Broken(f"run {lost.run_id}: the decision on call {lost.key} is missing")

    async def unsealed(self) -> int:
        """How many runs have ended and have rows that no seal covers yet."""
        sealed = select(AuditSealRow.seq).where(
            AuditSealRow.run_id == AuditHeadRow.run_id, AuditSealRow.run_seq >= AuditHeadRow.seq
        )
        statement = (
            select(func.count())
            .select_from(AuditHeadRow)
            .join(RunRow, RunRow.id == AuditHeadRow.run_id)
            .where(RunRow.ended_at.is_not(None), ~sealed.exists())
        )
        if self._run_id is not None:
            statement = statement.where(AuditHeadRow.run_id == self._run_id)
        return await self._session.scalar(statement) or 0

    @asynccontextmanager
    async def _streamed(self, statement: Select[Any]) -> AsyncGenerator[AsyncResult[Any]]:
        """The rows by a cursor of the server, closed at the end: the audit may be larger than our memory."""
        found = await self._session.stream(statement, execution_options={"yield_per": ROWS_AT_ONCE})
        try:
            yield found
        finally:
            await found.close()


def _check_seal(seal: Row[Any], position: int, previous: bytes) -> None:
    if seal.seq != position:
        raise Broken(f"seal {position} is missing")
    if seal.previous_hash != previous:
        raise Broken(f"seal {position} does not follow the seal before it")
    # A plain row of the same columns: to make objects of them would take far longer.
    if seal_hash(cast(AuditSealRow, seal)) != seal.hash:
        raise Broken(f"seal {position} was changed")
    if seal.row_hash is None:
        raise Broken(f"seal {position}: row {seal.run_seq} of run {seal.run_id} is missing")
    if seal.row_hash != seal.run_hash:
        raise Broken(f"seal {position}: row {seal.run_seq} of run {seal.run_id} was changed")


class _Chain:
    """A run's rows as they come by."""

    def __init__(self, run_id: str, head_seq: int | None, head_hash: bytes | None) -> None:
        self.run_id = run_id
        self._head = (head_seq, head_hash)
        self._last = (0, GENESIS)

    def follow(self, row: Row[Any]) -> None:
        """Take the next row; raises Broken when it does not fit."""
        position = self._last[0] + 1
        if row.seq != position:
            raise Broken(f"run {self.run_id}: row {position} is missing")
        if row.previous_hash != self._last[1]:
            raise Broken(f"run {self.run_id}: row {position} does not follow the row before it")
        if row_hash(cast(AuditRow, row)) != row.hash:
            raise Broken(f"run {self.run_id}: row {position} was changed")
        self._last = (position, row.hash)

    def end(self) -> None:
        """No more rows; raises Broken when the head knows of more."""
        if self._last != self._head:
            raise Broken(f"run {self.run_id}: the end of the chain is missing, after row {self._last[0]}")
