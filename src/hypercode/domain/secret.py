"""A secret: a value that a project keeps under a name, for the commands that are given it. Nobody reads it back."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

KEPT_VARIABLES = re.compile(
    r"LD_.*|GIT_.*|HYPERCODE_.*|PATH|HOME|BASH_ENV|ENV|PYTHONHOME|SHELLOPTS|.*_PROXY", re.I
)
"""Variables that steer loaders, git or the platform: nobody sets them for a command."""

MIN_BYTES = 8
"""Shorter values can't be told from ordinary text, so they could not be kept out of results."""

MAX_BYTES = 32 * 1024


def _free(name: str) -> str:
    if KEPT_VARIABLES.fullmatch(name):
        raise ValueError("a variable of this name steers programs or the platform")
    return name


SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,63}$"), AfterValidator(_free)]
"""The name is also that of the environment variable."""


def checked_value(value: str) -> str:
    """Return the value; raises ValueError, which never shows it, when it can't be kept or not be kept out of texts."""
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("a secret's value is text") from None
    if not MIN_BYTES <= size <= MAX_BYTES:
        raise ValueError(f"a secret's value has {MIN_BYTES} to {MAX_BYTES} bytes")
    if "\0" in value:
        raise ValueError("a secret's value has no NUL character")
    if len(value.strip()) < MIN_BYTES or len(set(value)) < 3:
        raise ValueError("a secret's value can be told from ordinary text")
    return value


class Secret(BaseModel):
    """What is shown of a secret: never its value."""

    model_config = ConfigDict(frozen=True)

    name: str
    version: int
    created_at: datetime
    changed_at: datetime
    changed_by: str
    last_used_at: datetime | None
