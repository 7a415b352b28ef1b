"""Which runs become archives, and the sweep that makes them: once a day, in one process of all."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict, HyperCodeError
from hypercode.settings import RetentionSettings
from hypercode.store.archives import ENDED, archive_run
from hypercode.store.database import DATABASE_AWAY, Database, unhurried
from hypercode.store.object_cleaning import clean_objects
from hypercode.store.objects import ObjectStore

logger = structlog.get_logger(__name__)
SWEEP = timedelta(days=1)
LOOK_S = 3600.0
SWEEP_LOCK = 7_419_015
MEBI = 1024 * 1024

# The runs of a task go together: one that lives may still read the steps of another.
_CANDIDATES = text("""
    SELECT run.id, run.ended_at,
        (SELECT coalesce(sum(pg_column_size(event)), 0) FROM run_events AS event WHERE event.run_id = run.id)
        + (SELECT coalesce(sum(pg_column_size(entry)), 0) FROM journal AS entry WHERE entry.run_id = run.id)
        + (SELECT coalesce(sum(pg_column_size(step)), 0) FROM dbos.operation_outputs AS step WHERE step.workflow_uuid
            IN (SELECT run.id || '-' || number FROM generate_series(0, run.segment) AS number)) AS bytes
    FROM runs AS run
    WHERE run.status = ANY(:ended)
        AND NOT EXISTS (SELECT FROM archives WHERE archives.run_id = run.id)
        AND NOT EXISTS (SELECT FROM runs AS other WHERE other.task_id = run.task_id AND other.status <> ALL(:ended))
    ORDER BY run.ended_at, run.id
""")
_DUE = text("""
    INSERT INTO instance (key, value) VALUES ('retention', jsonb_build_object('swept_at', CAST(:now AS timestamptz)))
    ON CONFLICT (key) DO UPDATE SET value = excluded.value
    WHERE (instance.value->>'swept_at')::timestamptz <= CAST(:before AS timestamptz)
    RETURNING key
""")


@dataclass(frozen=True)
class Due:
    """A run that is to be archived; ``bytes`` is what its rows take now."""

    run_id: str
    ended_at: datetime
    bytes: int
    why: str


@dataclass
class Swept:
    """What a sweep did."""

    archived: list[str] = field(default_factory=list[str])
    archive_bytes: int = 0
    objects_removed: int = 0


async def due_runs(session: AsyncSession, settings: RetentionSettings, now: datetime) -> list[Due]:
    """Return the runs that age or size asks for, oldest first."""
    rows = [
        (str(id_), ended_at, int(size))
        for id_, ended_at, size in await session.execute(_CANDIDATES, {"ended": ENDED})
    ]
    days, room = settings.archive_after_days, settings.keep_mb
    limit = now - timedelta(days=days) if days is not None else None
    left = sum(size for _, _, size in rows)
    due: list[Due] = []
    for run_id, ended_at, size in rows:
        if limit is not None and ended_at <= limit:
            due.append(Due(run_id, ended_at, size, "age"))
        elif room is not None and left > room * MEBI:
            due.append(Due(run_id, ended_at, size, "size"))
        else:
            continue
        left -= size
    return due


async def sweep(database: Database, objects: ObjectStore, settings: RetentionSettings) -> Swept:
    """Archive what is due, each run in a transaction of its own, then remove objects that no row names."""
    swept = Swept()
    async with database.transaction() as session:
        due = await due_runs(session, settings, datetime.now(UTC))
    for each in due:
        try:
            async with database.transaction() as session:
                await unhurried(session)
                archive = await archive_run(session, objects, each.run_id)
        except Conflict:  # another process was faster, or the task goes on
            continue
        swept.archived.append(each.run_id)
        swept.archive_bytes += archive.size
    swept.objects_removed = await clean_objects(database, objects)
    return swept


async def keep_retention(database: Database, objects: ObjectStore, settings: RetentionSettings) -> None:
    """Sweep once a day, for as long as the worker lives; of several workers one does it."""
    while True:
        try:
            await sweep_when_due(database, objects, settings)
        except (*DATABASE_AWAY, HyperCodeError) as error:
            logger.warning("retention.failed", error=type(error).__name__)
        await asyncio.sleep(LOOK_S)


async def sweep_when_due(
    database: Database, objects: ObjectStore, settings: RetentionSettings
) -> Swept | None:
    """Sweep when the last one is a day ago and nobody else is at it; None otherwise."""
    async with alone(database) as free:
        if not free:
            return None
        now = datetime.now(UTC)
        async with database.transaction() as session:
            if await session.scalar(_DUE, {"now": now, "before": now - SWEEP}) is None:
                return None
        swept = await sweep(database, objects, settings)
        logger.info(
            "retention.swept",
            archived=len(swept.archived),
            archive_bytes=swept.archive_bytes,
            objects_removed=swept.objects_removed,
        )
        return swept


@asynccontextmanager
async def alone(database: Database) -> AsyncGenerator[bool]:
    """Hold the lock of the sweep; False when another process has it. It goes with the connection of one that is killed."""
    async with database.single_statements() as connection:
        row = await (await connection.execute("SELECT pg_try_advisory_lock(%s)", [SWEEP_LOCK])).fetchone()
        free = bool(row and row[0])
        try:
            yield free
        finally:
            if free:
                await connection.execute("SELECT pg_advisory_unlock(%s)", [SWEEP_LOCK])
