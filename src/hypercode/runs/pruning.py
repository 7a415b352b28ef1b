"""Gives back the room of snapshots that belong to no run any more. One worker at a time, now and then."""

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy import text

from hypercode.domain.errors import HyperCodeError
from hypercode.runs.services import Services
from hypercode.store.database import DATABASE_AWAY, unhurried
from hypercode.store.snapshots import projects_with_runs

logger = structlog.get_logger(__name__)
PRUNE_EVERY_S = 3600.0
_TURN = text("SELECT pg_try_advisory_xact_lock(hashtext('hypercode.snapshots.prune'))")


async def keep_pruning(services: Services) -> None:
    """Look every hour, for as long as the worker lives."""
    while True:
        await asyncio.sleep(PRUNE_EVERY_S)
        with suppress(*DATABASE_AWAY):
            await prune_snapshots(services)


async def prune_snapshots(services: Services) -> int:
    """Prune every project once, unless another worker is at it; return how many snapshots went."""
    removed = 0
    async with services.database.transaction() as turn:
        if not await turn.scalar(_TURN):
            return 0
        await unhurried(turn)
        for project_id in await projects_with_runs(turn):
            try:
                pruned = await services.platform.snapshots_prune(project_id)
            except HyperCodeError as error:
                logger.warning("snapshots.not_pruned", project_id=project_id, code=error.code)
                continue
            removed += pruned.names
            if pruned.names:
                logger.info("snapshots.pruned", project_id=project_id, **pruned.model_dump())
    return removed
