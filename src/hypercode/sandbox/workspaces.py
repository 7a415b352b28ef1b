"""Workspaces: a project's mirror, a run's gitdir and work tree, all volumes, all git in containers of ours."""

import asyncio
import json
import secrets
from typing import Any
from urllib.parse import urlsplit

from hypercode.domain.errors import InvalidArgument, NotFound, SandboxDown
from hypercode.sandbox.base import (
    CheckRequest,
    ExportedDiff,
    OpenWorkspace,
    Profile,
    StartSandbox,
    WorkspaceInfo,
)
from hypercode.sandbox.containers import Containers
from hypercode.sandbox.egress import Egress
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.errors import error_of
from hypercode.sandbox.names import mirror_volume, snapshots_volume, workspace_volumes
from hypercode.sandbox.profiles import ContainerSpec, Mount, import_config, python, snapshot_config
from hypercode.sandbox.relay import Relay, text_of
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.sandbox.sources import Source, checked_commit, checked_url, local_source
from hypercode.sandbox.worktrees import (
    PathsChanged,
    RestorePaths,
    SnapshotRef,
    SwitchBranch,
)
from hypercode.settings import SandboxSettings

PLATFORM = "platform"
ARGUMENT = 100_000  # the kernel takes at most 128 KiB in one argument
MAX_GIT_OUTPUT = 64 * 1024 * 1024


class Workspaces:
    """Opens, exports, changes and removes workspaces."""

    def __init__(
        self,
        engine: Engine,
        runtime: RuntimeVolumes,
        containers: Containers,
        egress: Egress,
        settings: SandboxSettings,
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._containers = containers
        self._egress = egress
        self._settings = settings
        self._open: dict[str, WorkspaceInfo] = {}
        self._project_locks: dict[str, asyncio.Lock] = {}

    async def open(self, request: OpenWorkspace) -> WorkspaceInfo:
        """Make the workspace, idempotent by id."""
        known = self._open.get(request.workspace_id)
        if known is not None:
            return known
        volumes = [
            *workspace_volumes(request.workspace_id),
            mirror_volume(request.project_id),
            snapshots_volume(request.project_id),
        ]
        labels = self._containers.labels("workspace", request.project_id, request.workspace_id)
        checked_commit(request.commit)
        lock = self._project_locks.setdefault(request.project_id, asyncio.Lock())
        async with lock:
            fresh = not await self._engine.has_volume(volumes[1])
            try:
                source, args = (
                    await self._source(request) if fresh else (Source("existing"), {"kind": "existing"})
                )
                for volume in volumes[:2]:
                    await self._engine.create_volume(volume, labels)
                for volume, kind in zip(volumes[2:], ("mirror", "snapshots"), strict=True):
                    project = self._containers.labels(kind, request.project_id, "")
                    await self._engine.create_volume(volume, project)
                info = await self._import(request, source, args)
            except BaseException:
                if fresh:
                    await asyncio.shield(self._remove_volumes(request.workspace_id))
                raise
        self._open[request.workspace_id] = info
        return info

    async def _source(self, request: OpenWorkspace) -> tuple[Source, dict[str, Any]]:
        args: dict[str, Any] = {"commit": request.commit, "include_dirty": request.include_dirty}
        if request.from_snapshot is not None:
            args |= {"from_workspace": request.from_workspace, "from_snapshot": request.from_snapshot}
            source = Source("base")
        elif request.from_workspace is not None:
            exported = await self.export(request.from_workspace, "tree of the parent run")
            _work, gitdir = workspace_volumes(request.from_workspace)
            source = Source("parent", [Mount(gitdir, "/src", True)])
            args["commit"] = exported.head_commit
        elif request.source_kind == "local_path":
            source = await asyncio.to_thread(local_source, request.source)
            if source.kind == "folder" and request.commit is not None:
                raise InvalidArgument("a plain folder has no commits", hint="leave the commit out")
        elif request.source_kind == "git_url":
            args["url"] = await asyncio.to_thread(checked_url, request.source)
            source = Source("url")
        else:
            raise InvalidArgument(f"no such kind of source: {request.source_kind!r}")
        return source, {**args, "kind": source.kind}

    async def _import(self, request: OpenWorkspace, source: Source, args: dict[str, Any]) -> WorkspaceInfo:
        work, gitdir = workspace_volumes(request.workspace_id)
        mounts = [
            Mount(work, "/workspace"),
            Mount(gitdir, "/gitdir"),
            Mount(mirror_volume(request.project_id), "/mirror"),
            Mount(snapshots_volume(request.project_id), "/snapshots"),
            *source.mounts,
        ]
        labels = self._containers.labels("import", request.project_id, request.workspace_id)
        if source.kind == "url":
            async with self._egress.opened([_host(args["url"])], public_only=True) as link:
                answer = await self._brought([*mounts, *link.mounts], args, labels)
        else:
            answer = await self._brought(mounts, args, labels)
        info = WorkspaceInfo(workspace_id=request.workspace_id, **answer)
        return (
            info.model_copy(update={"head_note": f"{info.head_note}; {source.note}"}) if source.note else info
        )

    async def _brought(
        self, mounts: list[Mount], args: dict[str, Any], labels: dict[str, str]
    ) -> dict[str, Any]:
        return await self.once("runner/importer.py", mounts, json.dumps(args), labels, as_root=True)

    async def once(
        self, script: str, mounts: list[Mount], words: str, labels: dict[str, str], *, as_root: bool
    ) -> dict[str, Any]:
        """Run a script of ours in a container of its own, and return its answer."""
        runtime = await self._runtime.ensure()
        chunks = [words[start : start + ARGUMENT] for start in range(0, len(words), ARGUMENT)]
        spec = ContainerSpec(
            image=runtime.base_image,
            argv=python(script, *chunks),
            mounts=[*runtime.mounts, *mounts],
            labels=labels,
        )
        name = f"hypercode-import-{secrets.token_hex(8)}"
        try:
            config = import_config if as_root else snapshot_config
            await self._engine.create(name, config(spec, self._settings))
            await self._engine.start(name)
            code = await self._engine.wait(name)
            answer = _answer(await self._engine.logs(name))
            if answer is None:
                said = (await self._engine.logs(name, stderr=True, tail="20"))[-600:]
                raise SandboxDown(f"{script} ended with exit code {code}: {said}")
            return answer
        finally:
            await asyncio.shield(self._engine.remove(name))

    async def close(self, workspace_id: str) -> None:
        """Stop its containers and remove its volumes; nothing to do is fine."""
        workspace_volumes(workspace_id)
        await self._containers.stop_workspace(workspace_id)
        await self._remove_volumes(workspace_id)

    async def _remove_volumes(self, workspace_id: str) -> None:
        self._open.pop(workspace_id, None)
        for volume in workspace_volumes(workspace_id):
            await self._engine.remove_volume(volume)

    async def helper(self, workspace_id: str) -> Relay:
        """Connect to the workspace's helper container, which stays open."""
        work, _gitdir = workspace_volumes(workspace_id)
        if not await self._engine.has_volume(work):
            raise NotFound(f"no such workspace: {workspace_id}")
        start = StartSandbox(profile=Profile.HELPER, owner=PLATFORM, workspace_id=workspace_id)
        helper = await self._containers.start(start)
        return await self._containers.relay(helper.sandbox_id)

    async def git(self, workspace_id: str, request: dict[str, Any]) -> dict[str, Any]:
        """Do one piece of git work in the workspace's helper container."""
        relay = await self.helper(workspace_id)
        reply = await relay.call(
            "exec",
            {
                "argv": python("runner/gitwork.py"),
                "stdin": json.dumps(request),
                "timeout_s": 300.0,
                "max_output": MAX_GIT_OUTPUT,
            },
            seconds=330.0,
        )
        answer = _answer(text_of(reply, "stdout_b64"))
        if answer is None:
            raise SandboxDown(f"git work failed in the helper: {text_of(reply, 'stderr_b64')[-600:]}")
        return answer

    async def restore_paths(self, request: RestorePaths) -> PathsChanged:
        """Bring paths back from a commit, all or none."""
        args = {"op": "restore", "commit": request.commit, "paths": request.paths}
        return PathsChanged(**await self.git(request.workspace_id, args))

    async def switch_branch(self, request: SwitchBranch) -> PathsChanged:
        """Go to a branch; raises Conflict where work that is not committed is in the way."""
        return PathsChanged(**await self.git(request.workspace_id, {"op": "switch", "name": request.name}))

    async def export(self, workspace_id: str, message: str) -> ExportedDiff:
        """Commit the work tree to the platform-owned gitdir and compare it with base."""
        return ExportedDiff(**await self.git(workspace_id, {"op": "export", "message": message}))

    async def apply(self, workspace_id: str, diff: str) -> None:
        """Apply a diff three-way; raises Conflict naming the paths."""
        if diff.strip():
            await self.git(workspace_id, {"op": "apply", "diff": diff})

    async def checkout(self, request: CheckRequest, volume: str) -> str:
        """Fill a check's volume with a commit's tree, restored paths and overlay; return the tree's id."""
        _work, gitdir = workspace_volumes(request.workspace_id)
        if not await self._engine.has_volume(gitdir):
            raise NotFound(f"no such workspace: {request.workspace_id}")
        args = {
            "kind": "checkout",
            "commit": checked_commit(request.commit),
            "restore_paths": request.restore_paths,
            "restore_paths_from": checked_commit(request.restore_paths_from),
            "overlay": request.overlay,
        }
        mounts = [Mount(gitdir, "/gitdir"), Mount(volume, "/target")]
        labels = self._containers.labels("import", "check", request.workspace_id)
        return str((await self._brought(mounts, args, labels))["tree"])

    async def fill(self, snapshot: SnapshotRef, snapshots: str, volume: str) -> None:
        """Fill a volume with what a workspace was at a snapshot."""
        args = {
            "kind": "snapshot",
            "from_workspace": snapshot.workspace_id,
            "from_snapshot": snapshot.snapshot_id,
        }
        mounts = [Mount(snapshots, "/snapshots"), Mount(volume, "/workspace")]
        await self._brought(mounts, args, self._containers.labels("import", "check", ""))


def _answer(words: str) -> dict[str, Any] | None:
    """Return what our script answered; raises the error it answered with; None when it said nothing."""
    lines = words.strip().splitlines()
    if not lines:
        return None
    try:
        answer = json.loads(lines[-1])
    except ValueError:
        return None
    if "error" in answer:
        error = answer["error"]
        raise error_of(error["code"], error["message"], error["hint"])
    return answer["ok"]


def _host(url: str) -> str:
    return str(urlsplit(url).hostname)
