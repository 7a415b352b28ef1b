"""Seals the audit of runs that could not be sealed where they ended: rows that came late, or an older version's."""

import asyncio
from contextlib import suppress

import structlog

from hypercode.store.audit_seals import seal_ended_runs
from hypercode.store.database import DATABASE_AWAY, Database

logger = structlog.get_logger(__name__)
SEAL_SWEEP_S = 30.0


async def keep_sealing(database: Database) -> None:
    """Look now and then, for as long as the worker lives; workers that look at once take turns."""
    while True:
        with suppress(*DATABASE_AWAY):
            async with database.transaction() as session:
                sealed = await seal_ended_runs(session)
            if sealed:
                logger.info("audit.sealed_late", runs=sealed)
        await asyncio.sleep(SEAL_SWEEP_S)
