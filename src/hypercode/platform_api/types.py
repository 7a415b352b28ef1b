"""The platform's own work, asked of the tools process over ``/platform``: never MCP, never an agent.

A caller holds the platform key (workers) or the verifier key (``check_run`` alone). Bodies are the
sandbox room's requests, with the run they belong to.
"""

from pydantic import BaseModel, ConfigDict

from hypercode.domain.check import Check
from hypercode.domain.snapshot import SnapshotId


class PlatformRequest(BaseModel):
    """Base of requests: closed, and bound to a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str


class WorkspaceOpen(PlatformRequest):
    """Make the run's workspace; the fields mean what they mean in ``sandbox.base.OpenWorkspace``.

    With ``from_snapshot``, one of ``from_workspace``, that workspace's base is found by the platform.
    """

    workspace_id: str
    project_id: str
    source_kind: str
    source: str
    commit: str | None = None
    include_dirty: bool = False
    from_workspace: str | None = None
    from_snapshot: SnapshotId | None = None


class WorkspaceOpened(BaseModel):
    """What the workspace starts from."""

    model_config = ConfigDict(frozen=True)

    workspace_id: str
    base_commit: str
    base_tree: str
    source_commit: str | None
    imported_folder: bool
    dirty_left_out: int
    files: int
    head_note: str


class WorkspaceClose(PlatformRequest):
    """Remove the run's containers and volumes."""

    workspace_id: str


class EnvironmentBuild(PlatformRequest):
    """Build or find the environment of the workspace's base commit; progress streams as NDJSON lines."""

    workspace_id: str
    project_id: str
    settings: dict[str, object]


class SandboxOpen(PlatformRequest):
    """Start the run's container."""

    workspace_id: str
    image: str
    read_only: bool


class SandboxOpened(BaseModel):
    """The container that the run's tool calls go to."""

    model_config = ConfigDict(frozen=True)

    sandbox_id: str
    phases_ms: dict[str, float]


class SandboxClose(PlatformRequest):
    """Kill and remove the run's container; its workspace stays."""


class ChecksDetect(PlatformRequest):
    """Find the checks of a project in its work tree at the base commit."""

    workspace_id: str
    base_commit: str


class ChecksDetected(BaseModel):
    """The checks found (empty: none), and how."""

    model_config = ConfigDict(frozen=True)

    checks: list[Check]
    how: str


class DiffExport(PlatformRequest):
    """Commit the work tree and compare it with the base commit."""

    workspace_id: str
    message: str


class DiffExported(BaseModel):
    """The diff, as ``git apply`` takes it, and the tree it leads to."""

    model_config = ConfigDict(frozen=True)

    diff: str
    head_commit: str
    head_tree: str
    files: list[str]
    insertions: int
    deletions: int


class DiffApply(PlatformRequest):
    """Apply a child's diff to a workspace, three-way."""

    workspace_id: str
    diff: str


class TextRedact(PlatformRequest):
    """Take the values of the run's secrets out of a text; one that ``grows`` also loses an end that may become one."""

    text: str
    grows: bool


class TextRedacted(BaseModel):
    """What may be shown."""

    model_config = ConfigDict(frozen=True)

    text: str


class CheckRun(PlatformRequest):
    """Run one check in a fresh container; see ``sandbox.base.CheckRequest``."""

    workspace_id: str
    commit: str
    image: str
    argv: list[str]
    env: dict[str, str]
    timeout_s: float
    restore_paths: list[str]
    restore_paths_from: str | None
    overlay: dict[str, str]


class CheckRan(BaseModel):
    """What the check's container left behind; see ``sandbox.base.CheckOutput``."""

    model_config = ConfigDict(frozen=True)

    exit_code: int | None
    timed_out: bool
    stdout: str
    stderr: str
    reports: dict[str, str]
    tree: str
    image_id: str
    duration_ms: float
