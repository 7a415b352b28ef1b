"""What people tell runs."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Integer, String
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base


class RunCommandRow(Base):
    """One command to a run. ``step`` is the step that took its words: done again after a kill, it takes them again.

    An applied rewind made the ``era``, which begins after the event ``era_start`` and goes on from the event ``seq``.
    """

    __tablename__ = "run_commands"
    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity())
    organisation_id: Mapped[str]
    project_id: Mapped[str]
    task_id: Mapped[str]
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    verb: Mapped[str] = mapped_column(String(10))
    text: Mapped[str] = mapped_column(server_default="")
    seq: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(10))
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    settled_by: Mapped[str | None]
    settled_at: Mapped[datetime | None]
    step: Mapped[str | None]
    code: Mapped[str] = mapped_column(server_default="")
    message: Mapped[str] = mapped_column(server_default="")
    hint: Mapped[str] = mapped_column(server_default="")
    made_run_id: Mapped[str | None]
    era: Mapped[int | None] = mapped_column(Integer)
    era_start: Mapped[int | None] = mapped_column(BigInteger)
    __table_args__ = (
        Index("ix_run_commands_run", "run_id", "number"),
        Index("ix_run_commands_pending", "run_id", postgresql_where=sql("state = 'requested'")),
        Index("ix_run_commands_step", "run_id", "step", postgresql_where=sql("step IS NOT NULL")),
    )
