"""A snapshot of a whole workspace: what it was at an event of a run."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

SnapshotId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class Snapshot(BaseModel):
    """``tree`` is a hash over names, modes, times and contents; ``stored`` is what was written for this snapshot alone."""

    model_config = ConfigDict(frozen=True)

    snapshot_id: SnapshotId
    tree: str
    entries: int
    bytes: int
    stored: int
