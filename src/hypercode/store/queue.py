"""Enqueue a run inside the caller's transaction: its row and its queue entry commit together or not at all."""

from functools import lru_cache

from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.channels import RUN_DECIDED
from hypercode.store.database import wake
from hypercode.store.tables import RunRow

# Bumped only when the order of a workflow's steps changes: recovery replays steps by position.
LOOP_VERSION = 1
APPLICATION_NAME = "hypercode"
APPLICATION_VERSION = f"hypercode-{LOOP_VERSION}"
RUN_WORKFLOW = "run_segment"


def queue_name(role: str) -> str:
    """The queue of a role; each can be served by workers of its own."""
    return f"runs-{role}"


def segment_id(run_id: str, segment: int) -> str:
    """A workflow's id: idempotent by itself, so that a run is never begun twice."""
    return f"{run_id}-{segment}"


@lru_cache(maxsize=4)
def _client(url: str) -> DBOSClient:
    # Lazy: it only writes through our own connections, and opens none.
    return DBOSClient(
        system_database_url=url,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION_NAME,
        lazy=True,
    )


async def resume_run(session: AsyncSession, run: RunRow) -> None:
    """What a run waits for has come: one that is parked goes on as its next segment. Its row is locked."""
    if run.parked_at is not None:
        run.parked_at, run.segment = None, run.segment + 1
        await enqueue_run(session, run, segment=run.segment)
    await wake(session, RUN_DECIDED, run.id)


async def enqueue_run(session: AsyncSession, run: RunRow, *, segment: int = 0) -> None:
    await session.flush()
    connection = await session.connection()
    client = _client(connection.engine.url.render_as_string(hide_password=False))
    options: EnqueueOptions = {
        "workflow_name": RUN_WORKFLOW,
        "queue_name": queue_name(run.role),
        "workflow_id": segment_id(run.id, segment),
        "app_version": APPLICATION_VERSION,
    }

    def enqueue(sync_connection: Connection) -> None:
        client.enqueue_in_transaction(sync_connection, options, run.id, segment)

    await connection.run_sync(enqueue)
