"""A secret: a value that a project keeps under a name, for the commands that are given it. Nobody reads it back."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
"""The name is also that of the environment variable."""

MIN_BYTES = 8
"""Shorter values can't be told from ordinary text, so they could not be kept out of results."""

MAX_BYTES = 64 * 1024


class Secret(BaseModel):
    """What is shown of a secret: never its value."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    created_at: datetime
    changed_at: datetime
    changed_by: str
    last_used_at: datetime | None
