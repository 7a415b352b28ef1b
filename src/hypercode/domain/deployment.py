"""Deployments: an app of a task that runs in a container, and answers people at a preview's address."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hypercode.domain.web_exchange import Target


class DeploymentStatus(StrEnum):
    """``standby``: it served before the present one, and can serve again at once."""

    STARTING = "starting"
    SERVING = "serving"
    STANDBY = "standby"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def live(self) -> bool:
        """Whether a container belongs to it."""
        return self in (DeploymentStatus.STARTING, DeploymentStatus.SERVING, DeploymentStatus.STANDBY)


class HealthCheck(BaseModel):
    """When an app counts as healthy: this path of its own answers with this status."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    path: Annotated[Target, Field(max_length=1000)] = "/"
    status: int = Field(default=200, ge=200, le=599)
    interval_s: float = Field(default=1.0, ge=0.05, le=30)
    retries: int = Field(default=30, ge=1, le=300)


class Deployment(BaseModel):
    """A deployment as people see it."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    run_id: str
    image: str
    port: int
    status: DeploymentStatus
    detail: str
    replaces_id: str | None
    created_at: datetime
    expires_at: datetime
