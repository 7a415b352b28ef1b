"""What every sandbox backend and its client agree on: the closed, typed verbs of sandboxd.

Paths inside a sandbox are relative to its workspace (``/workspace``) unless said otherwise. Times are
seconds, sizes bytes, except where a name says another unit. A backend raises ``SandboxDown`` when its
engine does not answer, ``NotFound`` for unknown ids, ``TimedOut`` and ``TooLarge`` where a limit is hit,
``PathOutside`` for a path that leaves the workspace.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import Field

from hypercode.domain.environment import Environment
from hypercode.sandbox.files import Files
from hypercode.sandbox.meters import CpuSeen
from hypercode.sandbox.processes import PROC_ID, Processes
from hypercode.sandbox.strict import Strict
from hypercode.sandbox.worktrees import SNAPSHOT_ID, Worktrees

if TYPE_CHECKING:
    from hypercode.sandbox.apps import Apps


class Profile(StrEnum):
    """The fixed container profiles; there is no other way to get a container."""

    AGENT = "agent"
    CHECK = "check"
    HELPER = "helper"


class StartSandbox(Strict):
    """Start a container for a workspace.

    AGENT: the project's image, workspace at /workspace (read-only for an Architect), gitdir read-only.
    CHECK: like AGENT, for a verification; HELPER: our own image with git, workspace and gitdir writable.
    """

    profile: Profile
    owner: str
    workspace_id: str
    image: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    read_only_workspace: bool = False
    memory_mb: int | None = None
    cpus: float | None = None


class SandboxInfo(Strict):
    """A running container; how long each phase of its start took, in milliseconds."""

    sandbox_id: str
    workspace_id: str
    image_id: str
    phases_ms: dict[str, float]


class ExecRequest(Strict):
    """Run argv (no shell) in ``cwd``. Output beyond ``max_output`` bytes a stream is cut to head and tail.

    ``log_id``, made up by the caller, names its output for ``process_read`` while it runs, and afterwards when it
    was cut or is more than ``log_over`` bytes: the few latest such logs are kept in the container.
    """

    argv: list[str] = Field(min_length=1)
    cwd: str = "."
    env: dict[str, str] = Field(default_factory=dict)
    stdin: str = ""
    timeout_s: float = Field(default=120.0, gt=0, le=7200)
    max_output: int = Field(default=262_144, gt=0, le=64 * 1024 * 1024)
    log_id: str | None = Field(default=None, pattern=PROC_ID)
    log_over: int | None = Field(default=None, ge=0)


class ExecResult(Strict):
    """What a command did. ``exit_code`` is None when it was killed (then ``signal`` or ``timed_out`` says why).

    ``log_id`` is the request's when the log was kept. ``cpu`` is the container's meter afterwards, where it can be seen.
    """

    exit_code: int | None
    signal: int | None = None
    timed_out: bool = False
    stdout: str
    stderr: str
    truncated: bool = False
    duration_ms: float
    log_id: str | None = None
    cpu: CpuSeen | None = None


class ReadResult(Strict):
    """A part of a file: base64 of the bytes from ``offset``; ``size`` and ``sha256`` of the whole file.

    ``sha256`` is empty when the file is larger than the runner hashes (16 MiB).
    """

    data_b64: str
    size: int
    sha256: str
    mode: int


class WriteRequest(Strict):
    """Write a whole file atomically; ``if_sha256`` (of the present content, "" for: must not exist) guards it."""

    path: str
    data_b64: str
    create_dirs: bool = False
    if_sha256: str | None = None
    mode: int | None = None


class WriteResult(Strict):
    """The hash and size of what was written."""

    sha256: str
    size: int


class OpenWorkspace(Strict):
    """Make a workspace for a run from a source at a commit.

    ``source`` is an absolute local path (``local_path``) or a Git URL (``git_url``). The platform keeps a
    bare mirror volume of each project, and clones from it without hard links. ``commit`` None means HEAD.
    ``include_dirty`` takes uncommitted work of a local repository along as one commit on top. A plain
    folder is imported as one base commit. ``from_workspace``: start from that workspace's tree instead
    (child runs), as one base commit.

    ``from_snapshot``, a snapshot of ``from_workspace``: start from the base of that workspace, ``commit``, with the
    files as they were at the snapshot. That workspace may be closed by then.
    """

    workspace_id: str
    project_id: str
    source_kind: str
    source: str
    commit: str | None = None
    include_dirty: bool = False
    from_workspace: str | None = None
    from_snapshot: str | None = Field(default=None, pattern=SNAPSHOT_ID)


class WorkspaceInfo(Strict):
    """An open workspace. ``base_commit`` is in the platform-owned gitdir, ``source_commit`` in the source.

    ``dirty_left_out`` counts changed paths of the source that were not taken along; ``imported_folder``
    says that the source was a plain folder. ``head_note`` says in words what the run starts from.
    """

    workspace_id: str
    base_commit: str
    base_tree: str
    source_commit: str | None
    imported_folder: bool
    dirty_left_out: int
    files: int
    head_note: str


class ExportedDiff(Strict):
    """The comparison of the work tree with the base commit: a binary-safe git diff that ``git apply`` takes."""

    diff: str
    head_commit: str
    head_tree: str
    files: list[str]
    insertions: int
    deletions: int


class BuildEnvironment(Strict):
    """Detect (or take) a recipe at the workspace's base commit and build it; cached by digest."""

    workspace_id: str
    project_id: str
    settings: dict[str, object] = Field(default_factory=dict)


class CheckRequest(Strict):
    """Run argv in a fresh container without network, on tree ``commit`` of a workspace's gitdir.

    ``restore_paths_from`` (a commit) brings the paths ``restore_paths`` back as they were there.
    ``overlay`` are extra files (path -> text) for this check only, such as canaries.
    The report files the command leaves under ``/tmp/hypercode-report`` come back by name.
    """

    workspace_id: str
    commit: str
    image: str
    argv: list[str] = Field(min_length=1)
    env: dict[str, str] = Field(default_factory=dict)
    timeout_s: float = 900.0
    restore_paths: list[str] = Field(default_factory=list)
    restore_paths_from: str | None = None
    overlay: dict[str, str] = Field(default_factory=dict)


class CheckOutput(Strict):
    """What a check's container left: exit code, bounded output, report files (text), tree it ran on."""

    exit_code: int | None
    timed_out: bool
    stdout: str
    stderr: str
    reports: dict[str, str]
    tree: str
    image_id: str
    duration_ms: float


Progress = Callable[[str, str], Awaitable[None]]
"""Called with (phase, message) while a long verb works."""


class Sandboxes(Files, Processes, Worktrees, Protocol):
    """The verbs of sandboxd. ``docker.py`` implements them on an engine, ``client.py`` over its socket."""

    @property
    def apps(self) -> "Apps":
        """The verbs for what a run has beside its sandbox: its own images and containers."""
        ...

    async def ready(self) -> dict[str, str]:
        """Return the engine's name and version; raises SandboxDown with a hint when there is none."""
        ...

    async def open_workspace(self, request: OpenWorkspace) -> WorkspaceInfo:
        """Make the workspace, idempotent by id; raises InvalidArgument for a source that can't be used."""
        ...

    async def close_workspace(self, workspace_id: str) -> None:
        """Stop its containers and remove its volumes; nothing to do is fine."""
        ...

    async def build_environment(self, request: BuildEnvironment, progress: Progress) -> Environment:
        """Build or find the environment; raises EnvironmentFailed with phase, log tail and hint."""
        ...

    async def start(self, request: StartSandbox) -> SandboxInfo:
        """Start, or return the running container of the same (profile, owner, workspace)."""
        ...

    async def stop(self, sandbox_id: str) -> None:
        """Kill and remove the container; the workspace stays."""
        ...

    async def exec(self, sandbox_id: str, request: ExecRequest) -> ExecResult:
        """Run a command; its process tree is dead when this returns or is cancelled."""
        ...

    def cpu_seen(self, sandbox_id: str) -> CpuSeen | None:
        """What the meter of its container said after the last ``exec``; asks nobody."""
        ...

    async def read(self, sandbox_id: str, path: str, offset: int, limit: int) -> ReadResult:
        """Read a regular file, symlinks that leave the workspace refused."""
        ...

    async def write(self, sandbox_id: str, request: WriteRequest) -> WriteResult:
        """Write a file; raises Conflict when ``if_sha256`` does not hold."""
        ...

    async def export_diff(self, workspace_id: str, message: str) -> ExportedDiff:
        """Commit the work tree to the platform-owned gitdir and compare it with the base commit."""
        ...

    async def apply_diff(self, workspace_id: str, diff: str) -> None:
        """Apply a diff to the work tree (three-way); raises Conflict naming the paths, nothing changed."""
        ...

    async def check(self, request: CheckRequest) -> CheckOutput:
        """Run a check in a fresh container that no agent ever touched, and remove it."""
        ...
