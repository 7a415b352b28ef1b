"""Snapshots in the database: which one a run's workspace was at an event."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.domain.snapshot import Snapshot
from hypercode.store.tables import RunEventRow, RunRow, SnapshotRow


async def add_snapshot(
    session: AsyncSession, run: RunRow, seq: int, step_key: str, tool: str, taken: Snapshot
) -> None:
    """Tie a snapshot to the event ``seq``; a repeat changes nothing."""
    values = {
        "run_id": run.id,
        "seq": seq,
        "organisation_id": run.organisation_id,
        "project_id": run.project_id,
        "workspace_id": run.workspace_id,
        "step_key": step_key,
        "tool": tool,
    }
    await session.execute(insert(SnapshotRow).values(**values, **taken.model_dump()).on_conflict_do_nothing())


async def seq_of(session: AsyncSession, run_id: str, step_key: str) -> int | None:
    """Return the seq of the first event of a step."""
    first = select(func.min(RunEventRow.seq)).where(
        RunEventRow.run_id == run_id, RunEventRow.step_key == step_key
    )
    return await session.scalar(first)


async def snapshot_at(session: AsyncSession, run_id: str, seq: int) -> SnapshotRow | None:
    """Return the newest snapshot that was taken at ``seq`` or before; None when there is none."""
    newest = select(SnapshotRow).where(SnapshotRow.run_id == run_id, SnapshotRow.seq <= seq)
    return await session.scalar(newest.order_by(SnapshotRow.seq.desc()).limit(1))


async def snapshots_of(session: AsyncSession, run_id: str) -> Sequence[SnapshotRow]:
    """Return a run's snapshots in the order of its events."""
    rows = await session.scalars(
        select(SnapshotRow).where(SnapshotRow.run_id == run_id).order_by(SnapshotRow.seq)
    )
    return rows.all()


async def pair_at(
    session: AsyncSession, run_id: str, from_seq: int | None, to_seq: int | None
) -> tuple[SnapshotRow, SnapshotRow]:
    """Return what the workspace was at two events: None is the run's first, and its last; raises NotFound."""
    rows = await snapshots_of(session, run_id)
    if not rows:
        raise NotFound(
            "This run has no snapshots.", hint="They are taken once it works, and go when it is archived."
        )
    if from_seq is not None and to_seq is not None and from_seq > to_seq:
        raise InvalidArgument("from must not come after to.", hint="Events count up from 1.")
    # Before the first snapshot there is nothing but what the run started from.
    old = rows[0] if from_seq is None else await snapshot_at(session, run_id, from_seq)
    new = rows[-1] if to_seq is None else await snapshot_at(session, run_id, to_seq)
    return old or rows[0], new or rows[0]


async def is_snapshot_of(session: AsyncSession, run_id: str, snapshot_id: str) -> bool:
    """Whether a run has this snapshot."""
    found = select(SnapshotRow.seq).where(
        SnapshotRow.run_id == run_id, SnapshotRow.snapshot_id == snapshot_id
    )
    return await session.scalar(found.limit(1)) is not None


async def forget_snapshots(session: AsyncSession, run_id: str) -> None:
    """Give up an ended run's snapshots; what only they needed goes with the next sweep."""
    await session.execute(delete(SnapshotRow).where(SnapshotRow.run_id == run_id))


async def unneeded(session: AsyncSession, names: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Of the snapshots of workspaces, those of runs that are gone, and of ended ones those without a row.

    A run that has not ended keeps all: an agent may come back to its own, and one may just be taken.
    """
    runs = await session.execute(
        select(RunRow.workspace_id, RunRow.ended_at).where(RunRow.workspace_id.in_(names))
    )
    ended = {workspace: ended_at is not None for workspace, ended_at in runs}
    rows = await session.execute(
        select(SnapshotRow.workspace_id, SnapshotRow.snapshot_id).where(SnapshotRow.workspace_id.in_(names))
    )
    kept = {(workspace, snapshot) for workspace, snapshot in rows}
    drop = {
        workspace: [each for each in ids if (workspace, each) not in kept]
        for workspace, ids in names.items()
        if ended.get(workspace, True)
    }
    return {workspace: ids for workspace, ids in drop.items() if ids}


async def projects_with_runs(session: AsyncSession) -> Sequence[str]:
    """Return the projects that may have snapshots."""
    return (await session.scalars(select(RunRow.project_id).distinct())).all()
