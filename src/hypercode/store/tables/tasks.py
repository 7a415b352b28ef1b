"""Tasks, and the plans for them."""

from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class TaskRow(Stamped, Base):
    __tablename__ = "tasks"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), index=True)
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    prompt: Mapped[str]
    model: Mapped[str]
    routing: Mapped[str] = mapped_column(String(20))
    checks: Mapped[list[Any]]
    require: Mapped[str] = mapped_column(String(20))
    budget: Mapped[dict[str, Any]]
    include_dirty: Mapped[bool] = mapped_column(Boolean)
    priority: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    __table_args__ = (Index("ix_tasks_organisation_created", "organisation_id", "created_at"),)


class PlanRow(Stamped, Base):
    __tablename__ = "plans"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    version: Mapped[int]
    plan: Mapped[dict[str, Any]]
    __table_args__ = (UniqueConstraint("run_id", "version"),)
