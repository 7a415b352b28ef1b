"""Deployments, and who may see their previews."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class DeploymentRow(Stamped, Base):
    """An app of a task at a preview's address. ``deadline``: when one that still starts has failed."""

    __tablename__ = "deployments"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    container_id: Mapped[str]
    image: Mapped[str]
    port: Mapped[int]
    health: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(20))
    detail: Mapped[str]
    preview_id: Mapped[str] = mapped_column(index=True)
    replaces_id: Mapped[str | None]
    deadline: Mapped[datetime]
    expires_at: Mapped[datetime]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        Index(
            "uq_deployments_serving", "preview_id", unique=True, postgresql_where=text("status = 'serving'")
        ),
    )


class PreviewPassRow(Base):
    """A one-time ticket to a preview, or the cookie it was changed for; ends with the sign-in it came from."""

    __tablename__ = "preview_passes"
    token_sha256: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    preview_id: Mapped[str]
    session_sha256: Mapped[str] = mapped_column(
        ForeignKey("user_sessions.token_sha256", ondelete="CASCADE"), index=True
    )
    expires_at: Mapped[datetime]
