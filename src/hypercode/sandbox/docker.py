"""DockerSandboxes: the verbs of sandboxd on a Docker engine, each handed to the file that knows it."""

import hashlib
from pathlib import Path
from typing import Any

from hypercode.domain.environment import Environment
from hypercode.sandbox.base import (
    BuildEnvironment,
    CheckOutput,
    CheckRequest,
    ExecRequest,
    ExecResult,
    ExportedDiff,
    OpenWorkspace,
    Progress,
    ReadResult,
    SandboxInfo,
    StartSandbox,
    WorkspaceInfo,
    WriteRequest,
    WriteResult,
)
from hypercode.sandbox.checks import Checks
from hypercode.sandbox.containers import Containers
from hypercode.sandbox.docker_apps import DockerApps
from hypercode.sandbox.egress import Egress
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.environments import Environments
from hypercode.sandbox.files import (
    Changed,
    ChangeRequest,
    Deleted,
    DeleteRequest,
    GlobRequest,
    Moved,
    MoveRequest,
    PathsFacts,
    SearchRequest,
    SearchResult,
    StatRequest,
    Tree,
)
from hypercode.sandbox.meters import CpuMeters, CpuSeen
from hypercode.sandbox.names import checked_id
from hypercode.sandbox.processes import (
    Addressed,
    ProcessEnd,
    ProcessesOf,
    ProcessesSeen,
    ProcessKill,
    ProcessOutput,
    ProcessRead,
    ProcessStart,
    ProcessStarted,
    ProcessWrite,
    ProcessWritten,
)
from hypercode.sandbox.reaper import Reaper
from hypercode.sandbox.relay import text_of
from hypercode.sandbox.replies import checked_reply
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.sandbox.snapshots import Snapshots
from hypercode.sandbox.workspaces import Workspaces
from hypercode.sandbox.worktrees import (
    CheckSnapshot,
    CompareSnapshots,
    PathsChanged,
    PruneSnapshots,
    RestorePaths,
    RestoreSnapshot,
    SnapshotChecked,
    SnapshotDiff,
    SnapshotNames,
    SnapshotRestored,
    SnapshotsOf,
    SnapshotsPruned,
    SnapshotTaken,
    SwitchBranch,
    TakeSnapshot,
)
from hypercode.settings import SandboxSettings


class DockerSandboxes:
    """Implements ``Sandboxes`` on a Docker engine. ``instance`` labels everything of this installation."""

    def __init__(
        self, settings: SandboxSettings, *, instance: str = "default", url: str | None = None
    ) -> None:
        self._engine = Engine(url)
        self._runtime = RuntimeVolumes(self._engine, settings, checked_id(instance))
        self._containers = Containers(self._engine, self._runtime, settings, checked_id(instance))
        self._egress = Egress(self._engine, self._runtime, settings, instance)
        self._workspaces = Workspaces(self._engine, self._runtime, self._containers, self._egress, settings)
        self._environments = Environments(
            self._engine, self._runtime, self._containers, self._workspaces, self._egress, settings
        )
        self._reaper = Reaper(self._engine, self._containers, self._runtime, settings, instance)
        self._checks = Checks(self._engine, self._containers, self._workspaces)
        self._snapshots = Snapshots(self._engine, self._containers, self._workspaces, self._checks)
        self._meters = CpuMeters(self._engine)
        self._apps = DockerApps(self._engine, self._runtime, self._containers, self._egress, settings)

    @property
    def apps(self) -> DockerApps:
        """The verbs for a run's own images and containers."""
        return self._apps

    async def close(self) -> None:
        """Close the connections; containers and volumes stay."""
        await self._apps.close()
        await self._containers.close()
        await self._engine.close()

    async def ready(self) -> dict[str, str]:
        """Return the engine's name and version; raises SandboxDown with a hint when there is none."""
        version = await self._engine.version()
        runtime = await self._runtime.ensure()
        return {
            "engine": "docker",
            "version": str(version.get("Version", "")),
            "api": str(version.get("ApiVersion", "")),
            "base_image": runtime.base_image,
        }

    async def running(self) -> dict[str, int]:
        """Return how many containers of this installation are running, by kind."""
        return await self._containers.running()

    async def open_workspace(self, request: OpenWorkspace) -> WorkspaceInfo:
        """Make the workspace, idempotent by id; raises InvalidArgument for a source that can't be used."""
        return await self._workspaces.open(request)

    async def close_workspace(self, workspace_id: str) -> None:
        """Stop its containers and remove its volumes; nothing to do is fine."""
        await self._workspaces.close(workspace_id)
        await self._apps.forget_gone()

    async def build_environment(self, request: BuildEnvironment, progress: Progress) -> Environment:
        """Build or find the environment; raises EnvironmentFailed with phase, log tail and hint."""
        return await self._environments.build(request, progress)

    async def start(self, request: StartSandbox) -> SandboxInfo:
        """Start, or return the running container of the same (profile, owner, workspace)."""
        return await self._containers.start(request)

    async def stop(self, sandbox_id: str) -> None:
        """Kill and remove the container; the workspace stays."""
        await self._containers.stop(sandbox_id)
        self._meters.forget(sandbox_id)

    async def exec(self, sandbox_id: str, request: ExecRequest) -> ExecResult:
        """Run a command; its process tree is dead when this returns or is cancelled."""
        relay = await self._containers.relay(sandbox_id)
        reply = await relay.call("exec", request.model_dump(), seconds=request.timeout_s + 30)
        streams = {"stdout": text_of(reply, "stdout_b64"), "stderr": text_of(reply, "stderr_b64")}
        kept = {key: value for key, value in reply.items() if not key.endswith("_b64")}
        # What the runner says last counts least: it is in the container.
        seen = await self._meters.read(sandbox_id)
        return checked_reply(ExecResult, {**kept, **streams, "cpu": seen and seen.model_dump()})

    def cpu_seen(self, sandbox_id: str) -> CpuSeen | None:
        """What the meter of its container said after the last ``exec``; asks nobody."""
        return self._meters.last(sandbox_id)

    async def read(self, sandbox_id: str, path: str, offset: int, limit: int) -> ReadResult:
        """Read a regular file, symlinks that leave the workspace refused."""
        return checked_reply(
            ReadResult, await self._file(sandbox_id, "read", path=path, offset=offset, limit=limit)
        )

    async def write(self, sandbox_id: str, request: WriteRequest) -> WriteResult:
        """Write a file; raises Conflict when ``if_sha256`` does not hold."""
        return checked_reply(WriteResult, await self._file(sandbox_id, "write", **request.model_dump()))

    async def tree(self, sandbox_id: str, path: str, depth: int, limit: int, *, skip: int = 0) -> Tree:
        """List a directory, .git left out."""
        reply = await self._file(sandbox_id, "tree", path=path, depth=depth, limit=limit, skip=skip)
        return checked_reply(Tree, reply)

    async def change(self, request: ChangeRequest) -> Changed:
        """Change several files as one; raises Conflict when a guard does not hold, and nothing is changed."""
        reply = await self._file(
            request.sandbox_id,
            "change",
            changes=[each.model_dump(exclude_none=True) for each in request.changes],
        )
        return checked_reply(Changed, reply)

    async def move(self, request: MoveRequest) -> Moved:
        """Rename; raises Conflict when the target exists."""
        return checked_reply(Moved, await self._asked("move", request))

    async def delete(self, request: DeleteRequest) -> Deleted:
        """Delete; no link is followed, whatever happens in the container meanwhile."""
        return checked_reply(Deleted, await self._asked("delete", request))

    async def stat(self, request: StatRequest) -> PathsFacts:
        """Say what is at each path."""
        return checked_reply(PathsFacts, await self._asked("stat", request))

    async def glob(self, request: GlobRequest) -> Tree:
        """List the paths that match a pattern, in order, .git left out."""
        return checked_reply(Tree, await self._asked("glob", request))

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search text files, .git left out; a regular expression has 10 s."""
        return checked_reply(SearchResult, await self._asked("search", request))

    async def _asked(
        self, op: str, request: MoveRequest | DeleteRequest | StatRequest | GlobRequest | SearchRequest
    ) -> dict[str, Any]:
        return await self._file(request.sandbox_id, op, **request.model_dump(exclude={"sandbox_id"}))

    async def _file(self, sandbox_id: str, op: str, **args: Any) -> dict[str, Any]:
        relay = await self._containers.relay(sandbox_id)
        return await relay.call(op, args, seconds=30.0)

    async def process_start(self, request: ProcessStart) -> ProcessStarted:
        """Start a process; when cancelled before it answers, the process is dead."""
        return checked_reply(
            ProcessStarted,
            await self._process("start", request, (request.ready.timeout_s if request.ready else 0) + 30),
        )

    async def process_read(self, request: ProcessRead) -> ProcessOutput:
        """Read output; cancelling it does nothing to the process."""
        return checked_reply(ProcessOutput, await self._process("read", request, request.wait_ms / 1000 + 30))

    async def process_write(self, request: ProcessWrite) -> ProcessWritten:
        """Write to stdin as far as the process takes it within a few seconds."""
        return checked_reply(ProcessWritten, await self._process("write", request, 30))

    async def process_kill(self, request: ProcessKill) -> ProcessEnd:
        """End a process; nothing of its tree is left when this returns."""
        return checked_reply(ProcessEnd, await self._process("kill", request, request.grace_s + 30))

    async def process_list(self, request: ProcessesOf) -> ProcessesSeen:
        """List what was started in a container and is still known."""
        return checked_reply(ProcessesSeen, await self._process("list", request, 30))

    async def _process(self, verb: str, request: Addressed, seconds: float) -> dict[str, Any]:
        relay = await self._containers.relay(request.sandbox_id)
        args = request.model_dump(exclude={"sandbox_id"})
        return await relay.call(f"process_{verb}", args, seconds=seconds)

    async def export_diff(self, workspace_id: str, message: str) -> ExportedDiff:
        """Commit the work tree to the platform-owned gitdir and compare it with the base commit."""
        return await self._workspaces.export(workspace_id, message)

    async def apply_diff(self, workspace_id: str, diff: str) -> None:
        """Apply a diff to the work tree (three-way); raises Conflict naming the paths, nothing changed."""
        await self._workspaces.apply(workspace_id, diff)

    async def snapshot_take(self, request: TakeSnapshot) -> SnapshotTaken:
        """Keep everything; unchanged files are not read again."""
        return await self._snapshots.take(request)

    async def snapshot_restore(self, request: RestoreSnapshot) -> SnapshotRestored:
        """Bring a snapshot back, after taking one of what is there."""
        return await self._snapshots.restore(request)

    async def snapshot_compare(self, request: CompareSnapshots) -> SnapshotDiff:
        """Compare two snapshots; their workspaces need not be open."""
        return await self._snapshots.compare(request)

    async def snapshot_names(self, request: SnapshotsOf) -> SnapshotNames:
        """List the snapshots of a project."""
        return await self._snapshots.names(request)

    async def snapshot_prune(self, request: PruneSnapshots) -> SnapshotsPruned:
        """Remove snapshots and what nothing needs any more."""
        return await self._snapshots.prune(request)

    async def snapshot_check(self, request: CheckSnapshot) -> SnapshotChecked:
        """Run a command on a copy of a snapshot, and remove both."""
        return await self._snapshots.check(request)

    async def restore_paths(self, request: RestorePaths) -> PathsChanged:
        """Bring paths back from a commit, all or none."""
        return await self._workspaces.restore_paths(request)

    async def switch_branch(self, request: SwitchBranch) -> PathsChanged:
        """Go to a branch; raises Conflict where work that is not committed is in the way."""
        return await self._workspaces.switch_branch(request)

    async def check(self, request: CheckRequest) -> CheckOutput:
        """Run a check in a fresh container that no agent ever touched, and remove it."""
        return await self._checks.run(request)

    async def sweep(self, now: float) -> int:
        """Remove what earlier runs of this installation left behind, as of ``now``; return how many things."""
        return await self._reaper.sweep(now)

    async def purge(self, *, images: bool) -> int:
        """Remove all containers and volumes of this installation, images too when asked; return how many."""
        return await self._reaper.purge(images=images)


def instance_of(data_dir: Path) -> str:
    """Return a short name for an installation: its data directory's, so that two never clean up each other."""
    return "i" + hashlib.sha256(data_dir.resolve().as_posix().encode()).hexdigest()[:24]
