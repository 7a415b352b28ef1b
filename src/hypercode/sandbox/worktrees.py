"""Verbs that look at or change a whole work tree, done in the workspace's helper container."""

from typing import Protocol

from pydantic import Field

from hypercode.sandbox.strict import Strict

SNAPSHOT_ID = r"^[0-9a-f]{32}$"
BRANCH = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$"


class TakeSnapshot(Strict):
    """Keep a workspace as it is now. ``key`` names the snapshot, so that a repeat takes no second one.

    Where nothing has changed the answer is the newest snapshot, unless ``label`` asks for one of its own.
    """

    workspace_id: str
    label: str = Field(default="", max_length=200)
    key: str = Field(default="", max_length=300)


class SnapshotTaken(Strict):
    """A snapshot: its entries (files, directories, links), their bytes, and how many files had to be read.

    ``tree`` is a hash over all of it, ``stored`` how many bytes were written for it. ``left_out`` counts sockets and
    devices, which are in no snapshot.
    """

    snapshot_id: str = Field(pattern=SNAPSHOT_ID)
    tree: str
    stored: int
    entries: int
    bytes: int
    read: int
    left_out: int


class RestoreSnapshot(Strict):
    """Make a workspace what it was. With a ``key``, a repeat after a kill names the undo snapshot of the first try."""

    workspace_id: str
    snapshot_id: str = Field(pattern=SNAPSHOT_ID)
    key: str = Field(default="", max_length=300)


class SnapshotRestored(Strict):
    """``undo_id`` is the snapshot taken just before; ``changed`` counts what was written or removed."""

    undo_id: str = Field(pattern=SNAPSHOT_ID)
    changed: int


class SnapshotRef(Strict):
    """A snapshot of a workspace, which may be closed."""

    workspace_id: str
    snapshot_id: str = Field(pattern=SNAPSHOT_ID)


class CompareSnapshots(Strict):
    """Say what changed from one snapshot of a project to another."""

    project_id: str
    old: SnapshotRef
    new: SnapshotRef


class SnapshotDiff(Strict):
    """A unified diff with binary files named, and every path with "added", "modified" or "deleted".

    ``total`` counts the paths that changed, ``left_out`` names those that are too large to be compared line by line.
    ``truncated``: not everything is in ``diff``, or in ``files``.
    """

    diff: str
    files: list[tuple[str, str]]
    total: int
    left_out: list[str]
    truncated: bool


class SnapshotsOf(Strict):
    """A project's snapshots."""

    project_id: str


class SnapshotNames(Strict):
    """The ids of all snapshots of a project, by workspace."""

    names: dict[str, list[str]]


class PruneSnapshots(Strict):
    """Remove these snapshots of a project, those younger than ``older_than_s`` left alone, and what only they need."""

    project_id: str
    drop: dict[str, list[str]]
    older_than_s: float = Field(default=600.0, ge=0)


class SnapshotsPruned(Strict):
    """How many snapshots and contents went, and the bytes of the contents."""

    names: int
    objects: int
    bytes: int


class CheckSnapshot(Strict):
    """Run argv in a fresh container without network, on a copy of what a workspace was."""

    project_id: str
    snapshot: SnapshotRef
    image: str
    argv: list[str] = Field(min_length=1)
    timeout_s: float = Field(default=900.0, gt=0, le=7200)


class SnapshotChecked(Strict):
    """How the command ended, and what it said, bounded."""

    exit_code: int | None
    timed_out: bool
    stdout: str
    stderr: str
    duration_ms: float


class RestorePaths(Strict):
    """Make paths, in the work tree and in the index, what they are in a commit."""

    workspace_id: str
    commit: str = Field(pattern=r"^[0-9a-f]{40,64}$")
    paths: list[str] = Field(min_length=1, max_length=500)


class SwitchBranch(Strict):
    """Go to a branch."""

    workspace_id: str
    name: str = Field(pattern=BRANCH)


class PathsChanged(Strict):
    """The paths that were written or removed."""

    paths: list[str]


class Worktrees(Protocol):
    """The verbs; an unknown workspace or snapshot is NotFound."""

    async def snapshot_take(self, request: TakeSnapshot) -> SnapshotTaken:
        """Keep everything: ignored files, modes, links, empty directories; unchanged files are not read again."""
        ...

    async def snapshot_restore(self, request: RestoreSnapshot) -> SnapshotRestored:
        """Bring a snapshot back, after taking one of what is there."""
        ...

    async def snapshot_compare(self, request: CompareSnapshots) -> SnapshotDiff:
        """Compare two snapshots; their workspaces need not be open."""
        ...

    async def snapshot_names(self, request: SnapshotsOf) -> SnapshotNames:
        """List the snapshots of a project."""
        ...

    async def snapshot_prune(self, request: PruneSnapshots) -> SnapshotsPruned:
        """Remove snapshots and what nothing needs any more; what a snapshot that stays needs is never touched."""
        ...

    async def snapshot_check(self, request: CheckSnapshot) -> SnapshotChecked:
        """Run a command on a copy of a snapshot, in a container that no agent ever touched, and remove both."""
        ...

    async def restore_paths(self, request: RestorePaths) -> PathsChanged:
        """Bring paths back from a commit, all or none."""
        ...

    async def switch_branch(self, request: SwitchBranch) -> PathsChanged:
        """Go to a branch; raises Conflict where work that is not committed is in the way."""
        ...
