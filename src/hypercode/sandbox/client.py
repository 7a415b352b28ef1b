"""SandboxClient: the verbs of sandboxd wherever it listens."""

import json
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, ValidationError

from hypercode.domain.address import CONNECT_RETRIES, Address, base_url, unix_socket
from hypercode.domain.environment import Environment
from hypercode.domain.errors import SandboxDown
from hypercode.sandbox import wire
from hypercode.sandbox.app_client import AppClient
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
from hypercode.sandbox.errors import GONE_HINT, error_from, gone, refusal
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
from hypercode.sandbox.meters import CpuSeen
from hypercode.sandbox.processes import (
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
from hypercode.telemetry.tracing import send_trace

Reply = TypeVar("Reply", bound=BaseModel)


class SandboxClient:
    """Implements ``Sandboxes``. Errors come back as themselves; cancelling a call stops its work."""

    def __init__(self, address: Address, key: str) -> None:
        # No read limit: every verb has its own, and a cancelled call closes its connection.
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(
                uds=unix_socket(address),
                retries=CONNECT_RETRIES,
                limits=httpx2.Limits(max_connections=256, max_keepalive_connections=64),
            ),
            base_url=base_url(address, "sandboxd") + "/v1/",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            timeout=httpx2.Timeout(30.0, read=None),
            event_hooks={"request": [send_trace]},
        )
        self._cpu: dict[str, CpuSeen] = {}
        self.apps = AppClient(self._http, self._ask)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self) -> dict[str, str]:
        """Return the engine's name and version; raises SandboxDown with a hint when there is none."""
        return (await self._ask("ready", wire.Nothing(), wire.Ready)).engine

    async def open_workspace(self, request: OpenWorkspace) -> WorkspaceInfo:
        """Make the workspace, idempotent by id; raises InvalidArgument for a source that can't be used."""
        return await self._ask("open_workspace", request, WorkspaceInfo)

    async def close_workspace(self, workspace_id: str) -> None:
        """Stop its containers and remove its volumes; nothing to do is fine."""
        await self._ask("close_workspace", wire.WorkspaceRef(workspace_id=workspace_id), wire.Nothing)

    async def build_environment(self, request: BuildEnvironment, progress: Progress) -> Environment:
        """Build or find the environment; raises EnvironmentFailed with phase, log tail and hint."""
        try:
            async with self._http.stream(
                "POST", "build_environment", content=request.model_dump_json()
            ) as response:
                if response.status_code != 200:
                    raise refusal(await response.aread())
                async for line in response.aiter_lines():
                    event: dict[str, Any] = json.loads(line)
                    kind = event.pop("type")
                    if kind == "progress":
                        await progress(str(event["phase"]), str(event["message"]))
                    elif kind == "result":
                        return Environment.model_validate(event)
                    else:
                        raise error_from(event)
        except httpx2.HTTPError as failure:
            raise gone(failure) from failure
        raise SandboxDown("sandboxd broke off the build of the environment", hint=GONE_HINT)

    async def start(self, request: StartSandbox) -> SandboxInfo:
        """Start, or return the running container of the same (profile, owner, workspace)."""
        return await self._ask("start", request, SandboxInfo)

    async def stop(self, sandbox_id: str) -> None:
        """Kill and remove the container; the workspace stays."""
        self._cpu.pop(sandbox_id, None)
        await self._ask("stop", wire.SandboxRef(sandbox_id=sandbox_id), wire.Nothing)

    async def exec(self, sandbox_id: str, request: ExecRequest) -> ExecResult:
        """Run a command; its process tree is dead when this returns or is cancelled."""
        result = await self._ask("exec", wire.ExecCall(sandbox_id=sandbox_id, request=request), ExecResult)
        if result.cpu is not None:
            self._cpu[sandbox_id] = result.cpu
        return result

    def cpu_seen(self, sandbox_id: str) -> CpuSeen | None:
        """What the meter of its container said after the last ``exec``; asks nobody."""
        return self._cpu.get(sandbox_id)

    async def read(self, sandbox_id: str, path: str, offset: int, limit: int) -> ReadResult:
        """Read a regular file, symlinks that leave the workspace refused."""
        call = wire.ReadCall(sandbox_id=sandbox_id, path=path, offset=offset, limit=limit)
        return await self._ask("read", call, ReadResult)

    async def write(self, sandbox_id: str, request: WriteRequest) -> WriteResult:
        """Write a file; raises Conflict when ``if_sha256`` does not hold."""
        return await self._ask("write", wire.WriteCall(sandbox_id=sandbox_id, request=request), WriteResult)

    async def tree(self, sandbox_id: str, path: str, depth: int, limit: int, *, skip: int = 0) -> Tree:
        """List a directory, .git left out."""
        call = wire.TreeCall(sandbox_id=sandbox_id, path=path, depth=depth, limit=limit, skip=skip)
        return await self._ask("tree", call, Tree)

    async def change(self, request: ChangeRequest) -> Changed:
        """Change several files as one; raises Conflict when a guard does not hold, and nothing is changed."""
        return await self._ask("change", request, Changed)

    async def move(self, request: MoveRequest) -> Moved:
        """Rename; raises Conflict when the target exists."""
        return await self._ask("move", request, Moved)

    async def delete(self, request: DeleteRequest) -> Deleted:
        """Delete; no link is followed, whatever happens in the container meanwhile."""
        return await self._ask("delete", request, Deleted)

    async def stat(self, request: StatRequest) -> PathsFacts:
        """Say what is at each path."""
        return await self._ask("stat", request, PathsFacts)

    async def glob(self, request: GlobRequest) -> Tree:
        """List the paths that match a pattern, in order, .git left out."""
        return await self._ask("glob", request, Tree)

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search text files, .git left out; a regular expression has 10 s."""
        return await self._ask("search", request, SearchResult)

    async def snapshot_take(self, request: TakeSnapshot) -> SnapshotTaken:
        """Keep everything; unchanged files are not read again."""
        return await self._ask("snapshot_take", request, SnapshotTaken)

    async def snapshot_restore(self, request: RestoreSnapshot) -> SnapshotRestored:
        """Bring a snapshot back, after taking one of what is there."""
        return await self._ask("snapshot_restore", request, SnapshotRestored)

    async def snapshot_compare(self, request: CompareSnapshots) -> SnapshotDiff:
        """Compare two snapshots; their workspaces need not be open."""
        return await self._ask("snapshot_compare", request, SnapshotDiff)

    async def snapshot_names(self, request: SnapshotsOf) -> SnapshotNames:
        """List the snapshots of a project."""
        return await self._ask("snapshot_names", request, SnapshotNames)

    async def snapshot_prune(self, request: PruneSnapshots) -> SnapshotsPruned:
        """Remove snapshots and what nothing needs any more."""
        return await self._ask("snapshot_prune", request, SnapshotsPruned)

    async def snapshot_check(self, request: CheckSnapshot) -> SnapshotChecked:
        """Run a command on a copy of a snapshot, and remove both."""
        return await self._ask("snapshot_check", request, SnapshotChecked)

    async def restore_paths(self, request: RestorePaths) -> PathsChanged:
        """Bring paths back from a commit, all or none."""
        return await self._ask("restore_paths", request, PathsChanged)

    async def switch_branch(self, request: SwitchBranch) -> PathsChanged:
        """Go to a branch; raises Conflict where work that is not committed is in the way."""
        return await self._ask("switch_branch", request, PathsChanged)

    async def export_diff(self, workspace_id: str, message: str) -> ExportedDiff:
        """Commit the work tree to the platform-owned gitdir and compare it with the base commit."""
        return await self._ask(
            "export_diff", wire.ExportCall(workspace_id=workspace_id, message=message), ExportedDiff
        )

    async def apply_diff(self, workspace_id: str, diff: str) -> None:
        """Apply a diff to the work tree (three-way); raises Conflict naming the paths, nothing changed."""
        await self._ask("apply_diff", wire.ApplyCall(workspace_id=workspace_id, diff=diff), wire.Nothing)

    async def check(self, request: CheckRequest) -> CheckOutput:
        """Run a check in a fresh container that no agent ever touched, and remove it."""
        return await self._ask("check", request, CheckOutput)

    async def process_start(self, request: ProcessStart) -> ProcessStarted:
        """Start a process; when cancelled before it answers, the process is dead."""
        return await self._ask("process_start", request, ProcessStarted)

    async def process_read(self, request: ProcessRead) -> ProcessOutput:
        """Read output; cancelling it does nothing to the process."""
        return await self._ask("process_read", request, ProcessOutput)

    async def process_write(self, request: ProcessWrite) -> ProcessWritten:
        """Write to stdin as far as the process takes it within a few seconds."""
        return await self._ask("process_write", request, ProcessWritten)

    async def process_kill(self, request: ProcessKill) -> ProcessEnd:
        """End a process; nothing of its tree is left when this returns."""
        return await self._ask("process_kill", request, ProcessEnd)

    async def process_list(self, request: ProcessesOf) -> ProcessesSeen:
        """List what was started in a container and is still known."""
        return await self._ask("process_list", request, ProcessesSeen)

    async def _ask(self, verb: str, request: BaseModel, reply: type[Reply]) -> Reply:
        try:
            response = await self._http.post(verb, content=request.model_dump_json())
        except httpx2.HTTPError as failure:
            raise gone(failure) from failure
        if response.status_code != 200:
            raise refusal(response.content)
        try:
            return reply.model_validate_json(response.content)
        except ValidationError as failure:
            raise SandboxDown("sandboxd sent an answer that can't be read", hint=GONE_HINT) from failure
