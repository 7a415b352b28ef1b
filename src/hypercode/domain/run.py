"""A run: one attempt at a task, a durable workflow with a status; may have child runs."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hypercode.domain.role import AgentRole


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """True when no more events will come, besides notes on artifacts."""
        return self in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED)


class WaitReason(StrEnum):
    """Why a run waits."""

    APPROVAL = "approval"
    ANSWER = "answer"
    BUDGET = "budget"
    PAUSED = "paused"
    PROVIDER = "provider"
    CHILDREN = "children"
    LIMIT = "limit"


class Ending(StrEnum):
    """How an agent's loop ended; a claim of the agent's, never a verdict."""

    FINISHED = "finished"
    NEEDS_INPUT = "needs_input"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Run(BaseModel):
    """A run as the API shows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    organisation_id: str
    project_id: str
    task_id: str
    parent_run_id: str | None
    role: AgentRole
    model: str
    status: RunStatus
    wait_reason: WaitReason | None
    error_code: str | None
    error_message: str | None
    base_commit: str | None
    workspace_id: str
    proof: str | None
    verified: bool | None
    protected_paths: list[str]
    cost_usd: float
    tokens_in: int
    tokens_out: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
