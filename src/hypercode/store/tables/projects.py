"""Projects, and what their base commits reported."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class ProjectRow(Stamped, Base):
    __tablename__ = "projects"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    name: Mapped[str]
    source_kind: Mapped[str] = mapped_column(String(20))
    source: Mapped[str]
    environment: Mapped[dict[str, Any]]
    served_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)


class BaseResultRow(Stamped, Base):
    """What a check reported on a tree in an image, by the hash of the three; it never changes."""

    __tablename__ = "base_results"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    report: Mapped[dict[str, Any]]
