"""What changed in a run's workspace between two of its events."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from hypercode.domain.snapshot import Comparison
from hypercode.gateway.deps import AppParts, CurrentCaller
from hypercode.gateway.runs import visible_run
from hypercode.platform_api.snapshots import SnapshotCompare
from hypercode.store.snapshots import pair_at

router = APIRouter(prefix="/runs", tags=["runs"])
Seq = Annotated[int | None, Query(ge=0)]


class RunDiff(Comparison):
    """From the snapshot at ``from_seq`` to the one at ``to_seq``: the newest at or before the events asked for."""

    from_seq: int
    to_seq: int
    run_id: str = Field(description="The run.")


@router.get("/{run_id}/diff")
async def run_diff(
    run_id: str,
    caller: CurrentCaller,
    parts: AppParts,
    from_: Annotated[Seq, Query(alias="from")] = None,
    to: Seq = None,
) -> RunDiff:
    """Compare the workspace at two events: without ``from`` what the run started from, without ``to`` its last."""
    async with parts.database.transaction() as session:
        await visible_run(session, caller.user.organisation_id, run_id)
        old, new = await pair_at(session, run_id, from_, to)
    asked = SnapshotCompare(run_id=run_id, old=old.snapshot_id, new=new.snapshot_id)
    compared = await parts.previews.client().snapshot_compare(asked)
    return RunDiff(**compared.model_dump(), run_id=run_id, from_seq=old.seq, to_seq=new.seq)
