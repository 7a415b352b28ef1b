"""The JSON bodies of sandboxd's verbs, for those whose request is not already one model of base.py."""

from pydantic import Field

from hypercode.sandbox.base import ExecRequest, WriteRequest
from hypercode.sandbox.files import MAX_SKIP
from hypercode.sandbox.strict import Strict


class Nothing(Strict):
    """A body without fields."""


class Ready(Strict):
    """The engine's words about itself."""

    engine: dict[str, str]


class WorkspaceRef(Strict):
    """Names a workspace."""

    workspace_id: str


class SandboxRef(Strict):
    """Names a sandbox."""

    sandbox_id: str


class ExecCall(Strict):
    """``exec``."""

    sandbox_id: str
    request: ExecRequest


class ReadCall(Strict):
    """``read``."""

    sandbox_id: str
    path: str
    offset: int = Field(ge=0)
    limit: int = Field(ge=0)


class WriteCall(Strict):
    """``write``."""

    sandbox_id: str
    request: WriteRequest


class TreeCall(Strict):
    """``tree``."""

    sandbox_id: str
    path: str
    depth: int = Field(ge=1, le=64)
    limit: int = Field(ge=1, le=100_000)
    skip: int = Field(default=0, ge=0, le=MAX_SKIP)


class ExportCall(Strict):
    """``export_diff``."""

    workspace_id: str
    message: str


class ApplyCall(Strict):
    """``apply_diff``."""

    workspace_id: str
    diff: str
