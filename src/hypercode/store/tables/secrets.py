"""Secrets, and who used them."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class SecretRow(Stamped, Base):
    """A project's secret, sealed to the tools process. A deleted one keeps its row, so that versions never repeat."""

    __tablename__ = "secrets"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    version: Mapped[int]
    sealed: Mapped[bytes | None]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class SecretUseRow(Stamped, Base):
    """A secret that a run was given. Its sealed value stays until the run's workspace closes: it is kept out of results."""

    __tablename__ = "secret_uses"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    sealed: Mapped[bytes | None]
