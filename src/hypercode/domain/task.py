"""A task: what the user asks for."""

import shlex
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from hypercode.domain.attestation import Grade
from hypercode.domain.budget import Budget
from hypercode.domain.fields import Storable

RoutingChoice = Literal["auto", "coder", "architect"]


class Priority(StrEnum):
    """Which of a project's waiting runs goes first; between projects the workers are shared evenly."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """How it is stored and ordered: what is higher goes first."""
        return list(Priority).index(self) - 1

    @classmethod
    def of_rank(cls, rank: int) -> "Priority":
        """The priority that is stored as this number."""
        return list(cls)[rank + 1]


class Routing(StrEnum):
    """Who takes the task first."""

    CODER = "coder"
    ARCHITECT = "architect"


def _argv_text(check: str) -> str:
    try:
        argv = shlex.split(check)
    except ValueError as error:
        raise ValueError(f"the check {check!r} can't be split into words: {error}") from None
    if not argv:
        raise ValueError("a check is empty")
    return check


CheckText = Annotated[str, StringConstraints(max_length=2000), Storable, AfterValidator(_argv_text)]


class NewTask(BaseModel):
    """What a person asks for. ``checks`` are commands without a shell; empty means: detect them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project_id: str
    prompt: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100_000), Storable
    ]
    model: Annotated[str, StringConstraints(max_length=300), Storable] | None = None
    routing: RoutingChoice = "auto"
    checks: Annotated[list[CheckText], Field(max_length=20)] = Field(default_factory=list[str])
    require: Grade = Grade.FIXED
    budget: Budget = Field(default_factory=Budget)
    priority: Priority = Priority.NORMAL
    include_dirty: bool = False


class Task(BaseModel):
    """A task as the API shows it. ``checks`` are shell-free argv strings, empty means: detect them."""

    model_config = ConfigDict(frozen=True)

    id: str
    organisation_id: str
    project_id: str
    created_by: str
    prompt: str
    model: str
    routing: Routing
    checks: list[str]
    require: Grade
    budget: Budget
    priority: Priority
    include_dirty: bool
    created_at: datetime
