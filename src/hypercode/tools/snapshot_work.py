"""What the platform asks about snapshots: those of a run's own workspace, and which of a project's are still needed."""

from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.domain.snapshot import ChangedPath, Comparison, Snapshot
from hypercode.platform_api import snapshots as api
from hypercode.sandbox.base import Sandboxes
from hypercode.sandbox.worktrees import (
    CheckSnapshot,
    CompareSnapshots,
    PruneSnapshots,
    RestoreSnapshot,
    SnapshotRef,
    SnapshotsOf,
    TakeSnapshot,
)
from hypercode.store.database import Database
from hypercode.store.runs import get_run
from hypercode.store.snapshots import is_snapshot_of, unneeded
from hypercode.store.tables import RunRow
from hypercode.tools.secrets import Secrets

REMEMBERED = 1000


class SnapshotWork:
    """The verbs. Each holds the request against the run that it names."""

    def __init__(self, database: Database, sandboxes: Sandboxes, secrets: Secrets) -> None:
        self._database = database
        self._sandboxes = sandboxes
        self._secrets = secrets
        self._workspaces: dict[str, str] = {}

    async def take(self, request: api.SnapshotTake) -> Snapshot:
        """Keep the run's workspace as it is now."""
        await self._check_run(request.run_id, request.workspace_id)
        taken = await self._sandboxes.snapshot_take(
            TakeSnapshot(workspace_id=request.workspace_id, key=request.key)
        )
        return Snapshot(**taken.model_dump(include=set(Snapshot.model_fields)))

    async def restore(self, request: api.SnapshotRestore) -> api.SnapshotRestored:
        """Make the run's workspace what it was at one of its snapshots."""
        await self._check_run(request.run_id, request.workspace_id)
        back = await self._sandboxes.snapshot_restore(
            RestoreSnapshot(**request.model_dump(exclude={"run_id"}))
        )
        return api.SnapshotRestored(**back.model_dump())

    async def compare(self, request: api.SnapshotCompare) -> Comparison:
        """Compare two of the run's snapshots; the values of its secrets are not in the answer."""
        run = await self._run_of(request.run_id, request.old, request.new)
        found = await self._sandboxes.snapshot_compare(
            CompareSnapshots(
                project_id=run.project_id,
                old=SnapshotRef(workspace_id=run.workspace_id, snapshot_id=request.old),
                new=SnapshotRef(workspace_id=run.workspace_id, snapshot_id=request.new),
            )
        )
        await self._secrets.prepare(run.id)
        files = [ChangedPath.model_validate({"path": path, "status": status}) for path, status in found.files]
        told = found.model_dump(exclude={"files", "diff"})
        return Comparison(**told, diff=self._secrets.redactor(run.id).text(found.diff), files=files)

    async def check(self, request: api.SnapshotCheck) -> api.SnapshotChecked:
        """Run a command on a copy of one of the run's snapshots; the run's own workspace is not touched."""
        run = await self._run_of(request.run_id, request.snapshot_id)
        done = await self._sandboxes.snapshot_check(
            CheckSnapshot(
                project_id=run.project_id,
                snapshot=SnapshotRef(workspace_id=run.workspace_id, snapshot_id=request.snapshot_id),
                **request.model_dump(include={"image", "argv", "timeout_s"}),
            )
        )
        await self._secrets.prepare(run.id)
        redact = self._secrets.redactor(run.id).text
        told = done.model_dump(exclude={"stdout", "stderr"})
        return api.SnapshotChecked(**told, stdout=redact(done.stdout), stderr=redact(done.stderr))

    async def prune(self, request: api.SnapshotsPrune) -> api.SnapshotsPruned:
        """Remove what belongs to no run any more. The names are read first: what is taken meanwhile is not judged."""
        known = await self._sandboxes.snapshot_names(SnapshotsOf(project_id=request.project_id))
        async with self._database.transaction() as session:
            drop = await unneeded(session, known.names)
        if not drop:
            return api.SnapshotsPruned(names=0, objects=0, bytes=0)
        pruned = await self._sandboxes.snapshot_prune(
            PruneSnapshots(project_id=request.project_id, drop=drop)
        )
        return api.SnapshotsPruned(**pruned.model_dump())

    async def _run_of(self, run_id: str, *snapshot_ids: str) -> RunRow:
        async with self._database.transaction() as session:
            run = await get_run(session, run_id)
            for each in snapshot_ids:
                if not await is_snapshot_of(session, run_id, each):
                    raise NotFound("there is no such snapshot in this run")
        return run

    async def _check_run(self, run_id: str, workspace_id: str) -> None:
        """A run keeps its workspace: what was seen once is not asked again, for the newest runs."""
        known = self._workspaces.get(run_id)
        if known is None:
            async with self._database.transaction() as session:
                known = (await get_run(session, run_id)).workspace_id
            self._workspaces[run_id] = known
            if len(self._workspaces) > REMEMBERED:
                del self._workspaces[next(iter(self._workspaces))]
        if known != workspace_id:
            raise InvalidArgument("the workspace is not the run's")
