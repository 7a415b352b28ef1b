"""Runs, their events, and what they leave."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class RunRow(Stamped, Base):
    __tablename__ = "runs"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"), index=True)
    parent_run_id: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    plan_item_id: Mapped[str | None]
    goal: Mapped[str]
    role: Mapped[str] = mapped_column(String(20))
    model: Mapped[str]
    status: Mapped[str] = mapped_column(String(20), index=True)
    wait_reason: Mapped[str | None] = mapped_column(String(20))
    error_code: Mapped[str | None]
    error_message: Mapped[str | None]
    workspace_id: Mapped[str] = mapped_column(unique=True)
    sandbox_id: Mapped[str | None]
    grant_token: Mapped[str]
    trace_parent: Mapped[str | None]
    base_commit: Mapped[str | None]
    head_commit: Mapped[str | None]
    protected_paths: Mapped[list[Any] | None]
    frozen: Mapped[dict[str, Any] | None]
    proof: Mapped[str | None] = mapped_column(String(20))
    verified: Mapped[bool | None]
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    turns: Mapped[int] = mapped_column(Integer, server_default="0")
    cost_usd: Mapped[float] = mapped_column(Float, server_default="0")
    cancel_requested_at: Mapped[datetime | None]
    pause_requested_at: Mapped[datetime | None]
    segment: Mapped[int] = mapped_column(Integer, server_default="0")
    era: Mapped[int] = mapped_column(Integer, server_default="0")
    forked_from: Mapped[str | None] = mapped_column(ForeignKey("runs.id"), index=True)
    forked_at_seq: Mapped[int | None] = mapped_column(BigInteger)
    parked_at: Mapped[datetime | None]
    waiting_since: Mapped[datetime | None]
    waited_s: Mapped[float] = mapped_column(Float, server_default="0")
    queued_at: Mapped[datetime | None]
    lost_at: Mapped[datetime | None]
    loop_version: Mapped[int] = mapped_column(Integer, server_default="1")
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    __table_args__ = (Index("ix_runs_queued", "queued_at", postgresql_where=text("queued_at IS NOT NULL")),)


class RunHeadRow(Base):
    """The last seq given out in a run, and which worker holds the run; locking this row orders the run's events."""

    __tablename__ = "run_heads"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    worker_id: Mapped[str | None]
    __table_args__ = (
        Index("ix_run_heads_held", "worker_id", postgresql_where=text("worker_id IS NOT NULL")),
    )


class RunEventRow(Base):
    """An event. ``step_key`` and ``n`` make an append by a repeated step a no-op."""

    __tablename__ = "run_events"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    step_key: Mapped[str]
    n: Mapped[int]
    type: Mapped[str] = mapped_column(String(60))
    payload: Mapped[dict[str, Any]]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    __table_args__ = (UniqueConstraint("run_id", "step_key", "n"),)


class ArtifactRow(Stamped, Base):
    __tablename__ = "artifacts"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    __table_args__ = (UniqueConstraint("run_id", "kind", "name"),)
