"""A memory: what a run leaves behind for later runs of its project. Never edited, only superseded by a newer one."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class MemoryKind(StrEnum):
    """Agents write all but the last; the platform writes that one when a run ends."""

    NOTE = "note"
    FACT = "fact"
    TODO = "todo"
    GOTCHA = "gotcha"
    DECISION = "decision"
    HANDOFF = "handoff"
    RESULT = "result"
    RUN_SUMMARY = "run_summary"


class Trust(StrEnum):
    """Whose words these are. ``untrusted``: of an agent that had read data from outside of the project."""

    AGENT = "agent"
    PERSON = "person"
    UNTRUSTED = "untrusted"


PLATFORM = "platform"
"""Author of what no agent wrote."""


class Author(BaseModel):
    """Where a memory comes from. ``source_call`` names the tool call in the run's audit."""

    model_config = ConfigDict(frozen=True)

    organisation_id: str
    project_id: str
    task_id: str
    run_id: str
    author: str
    source_call: str
    trust: Trust = Trust.AGENT


class Draft(BaseModel):
    """What a memory says. ``details`` are the further parts of its kind, as lists of lines or as text."""

    model_config = ConfigDict(frozen=True)

    kind: MemoryKind
    text: str
    title: str = ""
    status: str | None = None
    details: dict[str, list[str] | str] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    supersedes: str | None = None

    def words(self) -> str:
        """All that can be searched for."""
        parts = [self.title, self.text, *self.tags]
        for detail in self.details.values():
            parts += [detail] if isinstance(detail, str) else detail
        return "\n".join(part for part in parts if part)


class Memory(Author, Draft):
    """A memory that is kept. ``version`` counts what it supersedes, down to the first."""

    id: str
    version: int
    superseded_by: str | None
    created_at: datetime
