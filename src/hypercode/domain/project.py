"""A project: a repository that a user connected."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class SourceKind(StrEnum):
    """Where a project's code comes from."""

    LOCAL_PATH = "local_path"
    GIT_URL = "git_url"


class EnvironmentSettings(BaseModel):
    """A project's own say about its environment; empty fields are detected.

    ``setup`` are shell lines run once in the builder container, in the work tree at the base commit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = None
    setup: list[str] | None = None
    dockerfile: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    check_timeout_s: float = Field(default=900.0, gt=0, le=7200)


class Project(BaseModel):
    """A project as the API shows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    organisation_id: str
    name: str
    source_kind: SourceKind
    source: str
    environment: EnvironmentSettings
    created_at: datetime
