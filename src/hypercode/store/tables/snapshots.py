"""Snapshots of workspaces, each tied to the event after which it was taken."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base, Stamped


class SnapshotRow(Stamped, Base):
    """What the workspace was at ``seq``. Where a call changed nothing, ``snapshot_id`` is that of the row before."""

    __tablename__ = "snapshots"
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    workspace_id: Mapped[str]
    snapshot_id: Mapped[str] = mapped_column(String(32))
    tree: Mapped[str] = mapped_column(String(64))
    step_key: Mapped[str]
    tool: Mapped[str]
    entries: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(BigInteger)
    stored: Mapped[int] = mapped_column(BigInteger)
    __table_args__ = (
        UniqueConstraint("run_id", "step_key"),
        Index("ix_snapshots_workspace", "workspace_id", "snapshot_id"),
    )
