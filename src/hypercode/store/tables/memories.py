"""What runs leave for later runs."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, String, Text, UniqueConstraint, func
from sqlalchemy import text as sql_text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from hypercode.store.tables.base import Base


class MemoryRow(Base):
    """What a run left for later runs of its project. A trigger refuses every UPDATE; ``words`` is what search reads."""

    __tablename__ = "memories"
    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[str]
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    task_id: Mapped[str]
    run_id: Mapped[str]
    author: Mapped[str] = mapped_column(String(20))
    source_call: Mapped[str]
    trust: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str] = mapped_column(String(20))
    title: Mapped[str]
    text: Mapped[str]
    status: Mapped[str | None] = mapped_column(String(20))
    details: Mapped[dict[str, Any]]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    words: Mapped[str]
    supersedes: Mapped[str | None] = mapped_column(unique=True)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    __table_args__ = (
        UniqueConstraint("run_id", "author", "source_call"),
        Index("ix_memories_project_created", "project_id", "created_at"),
        Index("ix_memories_words", sql_text("to_tsvector('english', words)"), postgresql_using="gin"),
    )
