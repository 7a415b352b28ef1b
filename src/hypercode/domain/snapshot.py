"""A snapshot of a whole workspace: what it was at an event of a run."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

SnapshotId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class ChangedPath(BaseModel):
    """What became of a path from one snapshot to another."""

    model_config = ConfigDict(frozen=True)

    path: str
    status: Literal["added", "modified", "deleted"]


class Comparison(BaseModel):
    """A unified diff with binary files named, and every path that changed, ``total`` in all.

    ``left_out`` are too large to be compared line by line; ``truncated``: not everything is in ``diff`` or ``files``.
    """

    model_config = ConfigDict(frozen=True)

    diff: str
    files: list[ChangedPath]
    total: int
    left_out: list[str]
    truncated: bool


class Snapshot(BaseModel):
    """``tree`` is a hash over names, modes, times and contents; ``stored`` is what was written for this snapshot alone."""

    model_config = ConfigDict(frozen=True)

    snapshot_id: SnapshotId
    tree: str
    entries: int
    bytes: int
    stored: int
