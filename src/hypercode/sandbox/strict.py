"""The base of every request and reply of sandboxd."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Requests and replies are closed and immutable: an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
