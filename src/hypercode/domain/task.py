"""A task: what the user asks for."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hypercode.domain.attestation import Grade
from hypercode.domain.budget import Budget


class Routing(StrEnum):
    """Who takes the task first."""

    CODER = "coder"
    ARCHITECT = "architect"


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
    include_dirty: bool
    created_at: datetime
