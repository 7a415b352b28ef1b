"""Tool calls: the audit's chains, and the journal."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base


class AuditRow(Base):
    """One decision and one outcome for each tool call, chained by hash within a run."""

    __tablename__ = "audit"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    call_id: Mapped[str]
    kind: Mapped[str] = mapped_column(String(10))
    tool: Mapped[str]
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]]
    at: Mapped[datetime]
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    __table_args__ = (UniqueConstraint("run_id", "call_id", "kind"),)


class AuditHeadRow(Base):
    """The end of a run's audit chain; locking this row orders the chain."""

    __tablename__ = "audit_heads"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    previous_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditSealRow(Base):
    """Where a run's audit chain stood when it was sealed, chained by hash over the whole platform."""

    __tablename__ = "audit_seals"
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    run_id: Mapped[str]
    run_seq: Mapped[int] = mapped_column(BigInteger)
    run_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    at: Mapped[datetime]
    previous_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    __table_args__ = (UniqueConstraint("run_id", "run_seq"),)


class JournalRow(Base):
    """A tool call by idempotency key: running, or done with its result. A key never runs twice."""

    __tablename__ = "journal"
    run_id: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    tool: Mapped[str]
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    owner: Mapped[str]
    result: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
