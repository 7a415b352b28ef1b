"""Taking runs out of the hands of a worker that is gone: its segments end at their last finished step, the next are queued.

The journal first: once a segment is cancelled there, no late result of it is kept, so the next segment reads steps that
nobody adds to. Every part may be done twice, and a sweep that was interrupted is finished by the next one.
"""

import asyncio
from collections.abc import Iterable

import structlog
from dbos import DBOS

from hypercode.settings import RunSettings
from hypercode.store.database import DATABASE_AWAY, Database
from hypercode.store.queue import release_run
from hypercode.store.workers import Stranded, count_taken, declare_dead, end_worker, stranded_runs, sweeps
from hypercode.telemetry.metrics import RUNS_TAKEN_OVER

logger = structlog.get_logger(__name__)
PENDING = "PENDING"


async def keep_sweeping(database: Database, worker_id: str, settings: RunSettings) -> None:
    """Look for workers that are gone, at the start and then every few seconds; one worker at a time does."""
    while True:
        try:
            await sweep(database, worker_id, settings.lease_s)
        except DATABASE_AWAY as error:
            logger.warning("sweep.broken_off", error=type(error).__name__)
        await asyncio.sleep(settings.sweep_s)


async def sweep(database: Database, worker_id: str, lease_s: float) -> int:
    """Declare dead who let its lease end, and queue what the dead left; return how many runs that were."""
    async with database.transaction() as session:
        # One at a time declares; what the dead left is looked for by all, as each may have seen one die beside it.
        dead = await declare_dead(session, worker_id, lease_s) if await sweeps(session) else []
    for each in dead:
        logger.warning("worker.dead", worker_id=each)
    async with database.transaction() as session:
        stranded = await stranded_runs(session)
    await _end_segments({each.worker_id for each in stranded})
    return sum([await _queue_again(database, each) for each in stranded])


async def hand_over(database: Database, worker_id: str) -> int:
    """A worker that stops in order gives its runs back at once; return how many."""
    async with database.transaction() as session:
        await end_worker(session, worker_id)
    async with database.transaction() as session:
        own = [each for each in await stranded_runs(session) if each.worker_id == worker_id]
    await _end_segments([worker_id])
    handed = 0
    for each in own:
        async with database.transaction() as session:
            handed += await release_run(session, each.run_id, each.worker_id) is not None
    return handed


async def _end_segments(worker_ids: Iterable[str]) -> None:
    """Until none is pending: a worker that was about to begin one may do so while we look."""
    executors = list(worker_ids)
    while executors:
        pending = await DBOS.list_workflows_async(
            executor_id=executors, status=PENDING, load_input=False, load_output=False
        )
        if not pending:
            return
        await DBOS.cancel_workflows_async([workflow.workflow_id for workflow in pending])


async def _queue_again(database: Database, stranded: Stranded) -> bool:
    async with database.transaction() as session:
        run = await release_run(session, stranded.run_id, stranded.worker_id)
        if run is None:
            return False
        run.lost_at = stranded.seen_at
        await count_taken(session, stranded.worker_id)
    logger.warning("run.taken_over", run_id=stranded.run_id, worker_id=stranded.worker_id)
    RUNS_TAKEN_OVER.inc()
    return True
