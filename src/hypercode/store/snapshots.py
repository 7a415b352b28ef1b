"""Snapshots in the database: which one a run's workspace was at an event."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

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
