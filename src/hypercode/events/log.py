"""The event log: gap-free and in commit order within a run, because ``run_heads`` is locked by an append."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.event import Event, Payload
from hypercode.store.channels import RUN_EVENTS
from hypercode.store.database import wake
from hypercode.store.tables import RunEventRow, RunHeadRow, RunRow
from hypercode.telemetry.metrics import EVENT_APPEND_SECONDS, EVENTS


async def append(session: AsyncSession, run: RunRow, step_key: str, payloads: Sequence[Payload]) -> int:
    """Append payloads as events of a step; returns the run's last seq.

    A step that runs again after a kill appends nothing: (run, step_key, n) is unique.
    """
    if not payloads:
        return 0
    with EVENT_APPEND_SECONDS.time():
        return await _append(session, run, step_key, payloads)


async def _append(session: AsyncSession, run: RunRow, step_key: str, payloads: Sequence[Payload]) -> int:
    head = await _lock_head(session, run.id)
    known = await session.scalar(
        select(func.count()).where(RunEventRow.run_id == run.id, RunEventRow.step_key == step_key)
    )
    fresh = list(enumerate(payloads))[known or 0 :]
    if not fresh:
        return head
    rows: list[dict[str, Any]] = [
        {
            "run_id": run.id,
            "seq": head + position,
            "organisation_id": run.organisation_id,
            "project_id": run.project_id,
            "step_key": step_key,
            "n": n,
            "type": payload.type,
            "payload": payload.model_dump(mode="json"),
        }
        for position, (n, payload) in enumerate(fresh, start=1)
    ]
    await session.execute(insert(RunEventRow), rows)
    last = head + len(rows)
    await session.execute(
        text("UPDATE run_heads SET seq = :seq WHERE run_id = :run_id"), {"seq": last, "run_id": run.id}
    )
    await wake(session, RUN_EVENTS, run.id)
    for _, payload in fresh:
        EVENTS.labels(payload.type).inc()
    return last


async def _lock_head(session: AsyncSession, run_id: str) -> int:
    statement = (
        insert(RunHeadRow)
        .values(run_id=run_id, seq=0)
        .on_conflict_do_update(index_elements=["run_id"], set_={"seq": RunHeadRow.seq})
        .returning(RunHeadRow.seq)
    )
    return cast(int, await session.scalar(statement))


async def read(session: AsyncSession, run_id: str, *, after: int = 0, limit: int = 500) -> list[Event]:
    """Return events with seq greater than ``after``, in order."""
    rows = await session.scalars(
        select(RunEventRow)
        .where(RunEventRow.run_id == run_id, RunEventRow.seq > after)
        .order_by(RunEventRow.seq)
        .limit(limit)
    )
    return [
        Event(run_id=row.run_id, seq=row.seq, type=row.type, payload=row.payload, at=row.at) for row in rows
    ]
