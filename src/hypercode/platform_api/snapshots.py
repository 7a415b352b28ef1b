"""Snapshots of a run's workspace, asked of the tools process over ``/platform``."""

from pydantic import BaseModel, ConfigDict

from hypercode.domain.snapshot import SnapshotId
from hypercode.platform_api.types import PlatformRequest


class SnapshotTake(PlatformRequest):
    """Keep the run's workspace as it is; a repeat with the same ``key`` takes no second one."""

    workspace_id: str
    key: str


class SnapshotRestore(PlatformRequest):
    """Make the run's workspace what it was; ``key`` makes a repeat after a kill name the same undo snapshot."""

    workspace_id: str
    snapshot_id: SnapshotId
    key: str = ""


class SnapshotCompare(PlatformRequest):
    """Say what changed from one of the run's snapshots to another; the workspace need not be open."""

    old: SnapshotId
    new: SnapshotId


class SnapshotCheck(PlatformRequest):
    """Run a command on a copy of one of the run's snapshots, in a fresh container without network."""

    snapshot_id: SnapshotId
    image: str
    argv: list[str]
    timeout_s: float


class SnapshotChecked(BaseModel):
    """How the command ended, and what it said, bounded."""

    model_config = ConfigDict(frozen=True)

    exit_code: int | None
    timed_out: bool
    stdout: str
    stderr: str
    duration_ms: float


class SnapshotsPrune(BaseModel):
    """Remove the snapshots of a project that belong to no run any more, and what only they needed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project_id: str


class SnapshotsPruned(BaseModel):
    """How many snapshots and contents went, and the bytes of the contents."""

    model_config = ConfigDict(frozen=True)

    names: int
    objects: int
    bytes: int


class SnapshotRestored(BaseModel):
    """``undo_id`` is a snapshot of what was there before; ``changed`` counts what was written or removed."""

    model_config = ConfigDict(frozen=True)

    undo_id: SnapshotId
    changed: int
