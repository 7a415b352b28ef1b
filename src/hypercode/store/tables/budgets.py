"""Budgets: what a task or a child's share may use and has used, what is held for calls under way, and who waits."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, ForeignKey, Integer, String, func
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class BudgetRow(Stamped, Base):
    """A budget; its id is the task's, or the run's whose share it is. Locking this row orders all who use it.

    The clock runs while ``held`` calls are under way, and at most until ``clock_until``, when the last of them
    has to be over: what a dead worker left open does not use up a task's time.
    """

    __tablename__ = "budgets"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    limits: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(Integer, server_default="0")
    turns: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cost_nano: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cpu_us: Mapped[int] = mapped_column(BigInteger, server_default="0")
    unpriced: Mapped[int] = mapped_column(BigInteger, server_default="0")
    held_turns: Mapped[int] = mapped_column(BigInteger, server_default="0")
    held_tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    held_cost_nano: Mapped[int] = mapped_column(BigInteger, server_default="0")
    held_cpu_us: Mapped[int] = mapped_column(BigInteger, server_default="0")
    held_unpriced: Mapped[int] = mapped_column(BigInteger, server_default="0")
    held: Mapped[int] = mapped_column(Integer, server_default="0")
    wall_us: Mapped[int] = mapped_column(BigInteger, server_default="0")
    clock_since: Mapped[datetime | None]
    clock_until: Mapped[datetime | None]


class BudgetLineRow(Base):
    """What is held for one call of a run; it is gone when the call was settled. ``owner`` is who may settle it."""

    __tablename__ = "budget_lines"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str] = mapped_column(String(32))
    accounts: Mapped[list[Any]]
    turns: Mapped[int] = mapped_column(BigInteger)
    tokens: Mapped[int] = mapped_column(BigInteger)
    cost_nano: Mapped[int] = mapped_column(BigInteger)
    cpu_us: Mapped[int] = mapped_column(BigInteger)
    unpriced: Mapped[int] = mapped_column(BigInteger)
    wall_us: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class BudgetMeterRow(Base):
    """How much CPU time of a run's sandbox was counted so far: a container only ever tells its whole."""

    __tablename__ = "budget_meters"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    sandbox: Mapped[str]
    seen_us: Mapped[int] = mapped_column(BigInteger)
    used_us: Mapped[int] = mapped_column(BigInteger, server_default="0")


class BudgetPauseRow(Base):
    """A run that waits until its budget covers its next call. ``given_up``: it will not, and the run is to end."""

    __tablename__ = "budget_pauses"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    organisation_id: Mapped[str]
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    accounts: Mapped[list[Any]]
    need: Mapped[dict[str, Any]]
    message: Mapped[str]
    given_up: Mapped[bool] = mapped_column(Boolean, server_default="false")
    paused_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
