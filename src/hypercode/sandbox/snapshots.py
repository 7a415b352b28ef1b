"""Snapshots: taken and restored by a workspace's helper; compared, checked and pruned without any workspace."""

import json
import secrets
import time
from typing import Any

from hypercode.domain.errors import NotFound, SandboxDown
from hypercode.sandbox.base import ExecRequest, Profile
from hypercode.sandbox.checks import Checks
from hypercode.sandbox.containers import Containers, sandbox_name
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.names import snapshots_volume
from hypercode.sandbox.profiles import Mount
from hypercode.sandbox.replies import checked_reply
from hypercode.sandbox.workspaces import Workspaces
from hypercode.sandbox.worktrees import (
    CheckSnapshot,
    CompareSnapshots,
    PruneSnapshots,
    RestoreSnapshot,
    SnapshotChecked,
    SnapshotDiff,
    SnapshotNames,
    SnapshotRestored,
    SnapshotsOf,
    SnapshotsPruned,
    SnapshotTaken,
    TakeSnapshot,
)

SNAPSHOT_S = 300.0
SAID = 64 * 1024


class Snapshots:
    """The verbs. What is kept lies in a volume of the project, and outlives its workspaces."""

    def __init__(
        self, engine: Engine, containers: Containers, workspaces: Workspaces, checks: Checks
    ) -> None:
        self._engine = engine
        self._containers = containers
        self._workspaces = workspaces
        self._checks = checks

    async def take(self, request: TakeSnapshot) -> SnapshotTaken:
        """Keep everything; unchanged files are not read again."""
        reply = await self._helped(request.workspace_id, "snapshot_take", request.model_dump())
        return checked_reply(SnapshotTaken, reply)

    async def restore(self, request: RestoreSnapshot) -> SnapshotRestored:
        """Bring a snapshot back, after taking one of what is there."""
        reply = await self._helped(request.workspace_id, "snapshot_restore", request.model_dump())
        return checked_reply(SnapshotRestored, reply)

    async def _helped(self, workspace_id: str, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """Ask the helper that is connected, else one that is started: a helper that was killed is no end."""
        relay = self._containers.connected(sandbox_name(Profile.HELPER, "", workspace_id))
        if relay is not None:
            try:
                return await relay.call(op, args, seconds=SNAPSHOT_S)
            except SandboxDown:
                pass
        helper = await self._workspaces.helper(workspace_id)
        return await helper.call(op, args, seconds=SNAPSHOT_S)

    async def compare(self, request: CompareSnapshots) -> SnapshotDiff:
        """Compare two snapshots."""
        asked = request.model_dump(include={"old", "new"})
        return checked_reply(SnapshotDiff, await self._work(request.project_id, {"op": "compare", **asked}))

    async def names(self, request: SnapshotsOf) -> SnapshotNames:
        """List the snapshots of a project; one that never had any has none."""
        if not await self._engine.has_volume(snapshots_volume(request.project_id)):
            return SnapshotNames(names={})
        return checked_reply(SnapshotNames, await self._work(request.project_id, {"op": "names"}))

    async def prune(self, request: PruneSnapshots) -> SnapshotsPruned:
        """Remove snapshots and what nothing needs any more."""
        asked = request.model_dump(include={"drop", "older_than_s"})
        return checked_reply(SnapshotsPruned, await self._work(request.project_id, {"op": "prune", **asked}))

    async def check(self, request: CheckSnapshot) -> SnapshotChecked:
        """Run a command on a copy of a snapshot."""
        started = time.monotonic()
        number = secrets.token_hex(12)
        asked = ExecRequest(argv=request.argv, timeout_s=request.timeout_s, max_output=SAID)
        volume = await self._volume(request.project_id)

        async def fill(target: str) -> None:
            await self._workspaces.fill(request.snapshot, volume, target)

        done = await self._checks.on_a_copy(number, request.snapshot.workspace_id, request.image, asked, fill)
        return SnapshotChecked(
            **done.model_dump(include={"exit_code", "timed_out", "stdout", "stderr"}),
            duration_ms=round((time.monotonic() - started) * 1000, 1),
        )

    async def _volume(self, project_id: str) -> str:
        volume = snapshots_volume(project_id)
        if not await self._engine.has_volume(volume):
            raise NotFound("there is no such snapshot in this project")
        return volume

    async def _work(self, project_id: str, args: dict[str, Any]) -> dict[str, Any]:
        mounts = [Mount(await self._volume(project_id), "/snapshots")]
        labels = self._containers.labels("make", project_id, "")
        return await self._workspaces.once(
            "runner/snapshot_work.py", mounts, json.dumps(args), labels, as_root=False
        )
