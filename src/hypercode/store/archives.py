"""A run's rows as one object, and back. What is archived is what nobody writes any more: events, steps, journal.

The run's own row stays, and so do its audit, its artifacts and what it asked people. ADR 0027 tells the order of things.
"""

import gzip
import json
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from typing import Any, cast

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict, Damaged
from hypercode.domain.run import RunStatus
from hypercode.store.object_locks import hold
from hypercode.store.objects import ObjectStore
from hypercode.store.queue import segment_id
from hypercode.store.runs import locked_run
from hypercode.store.snapshots import forget_snapshots
from hypercode.store.tables import ArchiveRow, RunRow

SCHEMA = "hypercode.archive/1"
BY_RUN, BY_WORKFLOW = "run_id = :run_id", "workflow_uuid = ANY(CAST(:workflows AS text[]))"
# In the order that they are brought back in: rows that others point to come first.
REMOVED = {
    "run_events": BY_RUN,
    "journal": BY_RUN,
    "dbos.workflow_status": BY_WORKFLOW,
    "dbos.workflow_input": BY_WORKFLOW,
    "dbos.workflow_output": BY_WORKFLOW,
    "dbos.operation_outputs": BY_WORKFLOW,
    "dbos.notifications": "destination_uuid = ANY(CAST(:workflows AS text[]))",
    "dbos.workflow_events": BY_WORKFLOW,
    "dbos.workflow_events_history": BY_WORKFLOW,
    "dbos.streams": BY_WORKFLOW,
}
COPIED = {"artifacts": BY_RUN}
ENDED = [status.value for status in RunStatus if status.ended]


@dataclass(frozen=True)
class Archived:
    """An archive as it was read: the rows by table."""

    run_id: str
    rows: dict[str, list[dict[str, Any]]]


async def get_archive(session: AsyncSession, run_id: str) -> ArchiveRow | None:
    return await session.get(ArchiveRow, run_id)


async def check_not_archived(session: AsyncSession, run_id: str) -> None:
    """Raise Conflict for whoever needs the rows of a run that are in its archive."""
    if await get_archive(session, run_id) is not None:
        raise Conflict(
            f"Run {run_id} is archived.", hint=f"Bring it back with `hypercode retention restore {run_id}`."
        )


async def archive_run(session: AsyncSession, objects: ObjectStore, run_id: str) -> ArchiveRow:
    """Write the archive, read it back, and remove the rows: all in this transaction, under the run's lock."""
    run = await locked_run(session, run_id)
    await _check_archivable(session, run)
    rows = {table: await _read(session, table, where, run) for table, where in (REMOVED | COPIED).items()}
    data = packed(run.id, rows)
    digest = sha256(data).hexdigest()
    await hold(session, digest)
    await objects.put(digest, data)
    if unpacked(await objects.get(digest)).rows != {table: found for table, found in rows.items() if found}:
        raise Damaged(
            f"The archive of {run.id} does not read as it was written.", hint="Its rows are untouched."
        )
    row = ArchiveRow(
        run_id=run.id,
        organisation_id=run.organisation_id,
        project_id=run.project_id,
        sha256=digest,
        size=len(data),
        last_seq=max((int(event["seq"]) for event in rows["run_events"]), default=0),
        rows={table: len(found) for table, found in rows.items() if found},
    )
    session.add(row)
    await session.flush()
    for table, where in reversed(REMOVED.items()):
        await session.execute(text(f"DELETE FROM {table} WHERE {where}"), _parameters(run))
    # Their contents are too large for an archive: the next sweep of snapshots gives their room back.
    await forget_snapshots(session, run.id)
    return row


async def restore_run(session: AsyncSession, objects: ObjectStore, run_id: str) -> int:
    """Bring the rows back and forget the archive, in this transaction; returns how many rows came."""
    await locked_run(session, run_id)
    row = await get_archive(session, run_id)
    if row is None:
        raise Conflict(f"Run {run_id} is not archived.", hint="`hypercode retention plan` lists archives.")
    archived = unpacked(await objects.get(row.sha256))
    number = 0
    for table in REMOVED:
        for found in archived.rows.get(table, []):
            await _insert(session, table, found)
            number += 1
    await session.execute(delete(ArchiveRow).where(ArchiveRow.run_id == run_id))
    return number


def packed(run_id: str, rows: dict[str, list[dict[str, Any]]]) -> bytes:
    """JSON lines, compressed; the same rows give the same bytes."""
    head = {"schema": SCHEMA, "run_id": run_id, "hypercode": version("hypercode-platform")}
    lines: list[dict[str, Any]] = [head]
    lines += [{"table": table, "row": row} for table, found in rows.items() for row in found]
    body = "".join(json.dumps(line, separators=(",", ":"), sort_keys=True) + "\n" for line in lines)
    return gzip.compress(body.encode(), compresslevel=6, mtime=0)


def unpacked(data: bytes) -> Archived:
    """Read it again; raises Damaged when it is no archive of a schema that is known here."""
    try:
        head, *lines = [cast(dict[str, Any], json.loads(line)) for line in gzip.decompress(data).splitlines()]
    except (OSError, EOFError, ValueError) as error:
        raise Damaged("The archive can't be read.", hint="Restore it from a backup.") from error
    if head.get("schema") != SCHEMA:
        raise Damaged(
            f"The archive is of {head.get('schema')}, this version reads {SCHEMA}.",
            hint="Use a newer version.",
        )
    rows: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        rows.setdefault(line["table"], []).append(line["row"])
    return Archived(str(head["run_id"]), rows)


async def _check_archivable(session: AsyncSession, run: RunRow) -> None:
    if await get_archive(session, run.id) is not None:
        raise Conflict(f"Run {run.id} is archived already.")
    live = await session.scalar(
        select(RunRow.id).where(RunRow.task_id == run.task_id, RunRow.status.not_in(ENDED)).limit(1)
    )
    if live is not None:
        # A parent, a child, or an attempt that goes on from this one may still read its steps.
        raise Conflict(
            f"Run {live} of the same task has not ended.", hint="Archive it when the task is done."
        )


async def _read(session: AsyncSession, table: str, where: str, run: RunRow) -> list[dict[str, Any]]:
    statement = f"SELECT to_jsonb(each) FROM {table} AS each WHERE {where} ORDER BY each"
    return list(await session.scalars(text(statement), _parameters(run)))


async def _insert(session: AsyncSession, table: str, row: dict[str, Any]) -> None:
    # Only what the row has: a column that a later version added keeps its default.
    columns = ", ".join(f'"{name}"' for name in row)
    statement = (
        f"INSERT INTO {table} ({columns}) "
        f"SELECT {columns} FROM jsonb_populate_record(NULL::{table}, CAST(:row AS jsonb))"
    )
    await session.execute(text(statement), {"row": json.dumps(row)})


def _parameters(run: RunRow) -> dict[str, Any]:
    return {"run_id": run.id, "workflows": [segment_id(run.id, number) for number in range(run.segment + 1)]}


async def count_archives(session: AsyncSession) -> Counter[str]:
    """How many archives there are and how many bytes they hold, as ``number`` and ``bytes``."""
    number, size = (
        await session.execute(select(func.count(), func.coalesce(func.sum(ArchiveRow.size), 0)))
    ).one()
    return Counter(number=int(number), bytes=int(size))
