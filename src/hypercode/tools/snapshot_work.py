"""What the platform asks about snapshots: taking and restoring those of a run's own workspace."""

from hypercode.domain.errors import InvalidArgument
from hypercode.domain.snapshot import Snapshot
from hypercode.platform_api import snapshots as api
from hypercode.sandbox.base import Sandboxes
from hypercode.sandbox.worktrees import RestoreSnapshot, TakeSnapshot
from hypercode.store.database import Database
from hypercode.store.runs import get_run


class SnapshotWork:
    """The verbs. Each holds the request against the run that it names."""

    def __init__(self, database: Database, sandboxes: Sandboxes) -> None:
        self._database = database
        self._sandboxes = sandboxes

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

    async def _check_run(self, run_id: str, workspace_id: str) -> None:
        async with self._database.transaction() as session:
            run = await get_run(session, run_id)
        if run.workspace_id != workspace_id:
            raise InvalidArgument("the workspace is not the run's")
