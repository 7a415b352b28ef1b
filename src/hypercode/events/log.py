"""The event log: gap-free and in commit order within a run, because an append locks the run's row of ``run_heads``.

An append is one statement: a run that writes ten events a second pays for each trip to Postgres.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import NotFound
from hypercode.domain.event import Event, Payload
from hypercode.events.eras import in_era
from hypercode.store.channels import RUN_EVENTS
from hypercode.store.database import Database, Statements, redis_of, statements_of, wake
from hypercode.store.ownership import LeaseLost, checked, owner_of
from hypercode.store.tables import RunEventRow
from hypercode.telemetry.metrics import EVENT_APPEND_SECONDS, EVENTS


async def append(session: AsyncSession, run_id: str, step_key: str, payloads: Sequence[Payload]) -> int:
    """Append payloads as events of a step, in the session's transaction; returns the run's last seq.

    A step that runs again after a kill appends nothing: what (run, step_key) has already is left out.
    """
    if not payloads:
        return 0
    # The statement goes by the driver's own connection: the session would not send before it what it holds back.
    await session.flush()
    notify, worker_id = redis_of(session) is None, owner_of(session, run_id)
    entry = _Entry(run_id, step_key, payloads, worker_id)
    last, locked = await _append(await statements_of(session), entry, notify=notify)
    if locked and worker_id is not None:
        checked(session)
    if not notify:
        await wake(session, RUN_EVENTS, run_id)
    return last


async def append_alone(database: Database, run_id: str, step_key: str, payloads: Sequence[Payload]) -> int:
    """The same as a transaction of its own: one trip to Postgres."""
    async with database.single_statements() as connection:
        entry = _Entry(run_id, step_key, payloads, database.worker_on(run_id))
        last, _ = await _append(connection, entry, notify=database.redis is None)
    if database.redis is not None:
        await database.redis.publish({(RUN_EVENTS, run_id): None})
    return last


@dataclass(frozen=True)
class _Entry:
    """What is appended where, and the worker that has to hold the run for it; None where no run's worker writes."""

    run_id: str
    step_key: str
    payloads: Sequence[Payload]
    worker_id: str | None


async def _append(statements: Statements, entry: _Entry, *, notify: bool) -> tuple[int, bool]:
    """Return the last seq, and whether the run's head was locked: it is not for what had been appended before."""
    payloads = entry.payloads
    events = [{"type": payload.type, "payload": payload.model_dump(mode="json")} for payload in payloads]
    parameters = {
        "run_id": entry.run_id,
        "step_key": in_era(entry.step_key),
        "events": json.dumps(events, ensure_ascii=False),
        "channel": RUN_EVENTS,
        "worker_id": entry.worker_id,
    }
    with EVENT_APPEND_SECONDS.time():
        row = await (await statements.execute(_appending(notify=notify), parameters)).fetchone()
    last, added, locked, *_ = row or (None, 0, False)
    if last is None:
        raise NotFound(f"There is no run {entry.run_id}.")
    if added and not locked:
        raise LeaseLost(entry.run_id)
    for payload in payloads[len(payloads) - added :]:
        EVENTS.labels(payload.type).inc()
    return last, locked


@cache
def _appending(*, notify: bool) -> bytes:
    """What (run, step_key) has is counted before the lock, so two that append the same at once end in an error for one:
    a worker that was replaced, which has nothing to say any more. A worker that no longer holds the run locks nothing."""
    woken = ", CASE WHEN head.seq IS NOT NULL THEN pg_notify(%(channel)s, %(run_id)s) END" if notify else ""
    return f"""
        WITH run AS (SELECT id, organisation_id, project_id FROM runs WHERE id = %(run_id)s),
        known AS (SELECT count(*) AS n FROM run_events WHERE run_id = %(run_id)s AND step_key = %(step_key)s),
        fresh AS (
            SELECT ordinality AS place, event->>'type' AS type, event->'payload' AS payload
            FROM jsonb_array_elements(CAST(%(events)s AS jsonb)) WITH ORDINALITY AS each (event, ordinality), known
            WHERE ordinality > known.n
        ),
        amount AS (SELECT count(*) AS n, min(place) AS first FROM fresh),
        head AS (
            INSERT INTO run_heads AS h (run_id, seq)
            SELECT run.id, amount.n FROM run, amount WHERE amount.n > 0
            ON CONFLICT (run_id) DO UPDATE SET seq = h.seq + excluded.seq
            WHERE CAST(%(worker_id)s AS text) IS NULL OR h.worker_id = %(worker_id)s
            RETURNING seq
        ),
        added AS (
            INSERT INTO run_events (run_id, seq, organisation_id, project_id, step_key, n, type, payload)
            SELECT run.id, head.seq - amount.n + 1 + place - amount.first, run.organisation_id, run.project_id,
                %(step_key)s, place - 1, fresh.type, fresh.payload
            FROM run, head, amount, fresh ORDER BY place
        )
        SELECT coalesce(head.seq, (SELECT seq FROM run_heads WHERE run_id = %(run_id)s)), amount.n,
            head.seq IS NOT NULL{woken}
        FROM amount LEFT JOIN head ON true
    """.encode()


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
