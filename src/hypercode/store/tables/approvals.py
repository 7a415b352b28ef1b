"""What runs ask people."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base


class ApprovalRow(Base):
    """A person's word on one exact tool call, asked for in the transaction that decided the call."""

    __tablename__ = "approvals"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    call_key: Mapped[str | None]
    tool: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    arguments_sha256: Mapped[str] = mapped_column(String(64))
    policy_sha256: Mapped[str] = mapped_column(String(64))
    binding: Mapped[str] = mapped_column(String(64))
    rule: Mapped[str]
    reason: Mapped[str]
    touched: Mapped[dict[str, Any]]
    facts_sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(10))
    scope: Mapped[str | None] = mapped_column(String(10))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
    used_at: Mapped[datetime | None]
    used_key: Mapped[str | None]
    __table_args__ = (
        Index("ix_approvals_run", "run_id", "binding"),
        Index(
            "uq_approvals_pending",
            "run_id",
            "binding",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_approvals_state", "organisation_id", "state", "requested_at"),
        Index(
            "ix_approvals_standing", "project_id", "facts_sha256", postgresql_where=text("state = 'approved'")
        ),
        Index("ix_approvals_due", "expires_at", postgresql_where=text("state = 'pending'")),
    )


class QuestionRow(Base):
    """What an agent asks a person."""

    __tablename__ = "questions"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    question: Mapped[str]
    options: Mapped[list[Any]]
    state: Mapped[str] = mapped_column(String(10))
    requested_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    answer: Mapped[str | None]
    answered_by: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    __table_args__ = (
        Index("ix_questions_run", "run_id", "requested_at"),
        Index("ix_questions_state", "organisation_id", "state", "requested_at"),
        Index("ix_questions_due", "expires_at", postgresql_where=text("state = 'open'")),
    )
