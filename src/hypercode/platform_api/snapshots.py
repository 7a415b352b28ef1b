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


class SnapshotRestored(BaseModel):
    """``undo_id`` is a snapshot of what was there before; ``changed`` counts what was written or removed."""

    model_config = ConfigDict(frozen=True)

    undo_id: SnapshotId
    changed: int
