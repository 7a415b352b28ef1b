"""The worker processes, each with the lease that it renews."""

from datetime import datetime
from typing import Any

from sqlalchemy import Integer, String, func
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base


class WorkerRow(Base):
    """One process from its start to its end; its id never comes back. ``place`` holds one worker at a time."""

    __tablename__ = "workers"
    id: Mapped[str] = mapped_column(primary_key=True)
    place: Mapped[str | None]
    host: Mapped[str]
    pid: Mapped[int] = mapped_column(Integer)
    roles: Mapped[list[Any]]
    version: Mapped[str]
    loop_version: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(10), index=True)
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    runs_taken: Mapped[int] = mapped_column(Integer, server_default="0")
