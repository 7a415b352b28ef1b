"""A worker's lease: renewed by the database's clock, lost for good once another has declared this worker dead.

A worker that was asleep longer than its lease, and wakes up, finds it lost: its runs are another's, what it writes is
rolled back (``store/ownership.py``), and it stops at once. Who starts it again gives it a fresh id.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import structlog

from hypercode.domain.role import AgentRole
from hypercode.settings import RunSettings
from hypercode.store.database import DATABASE_AWAY, Database
from hypercode.store.queue import LOOP_VERSION
from hypercode.store.tables import WorkerRow
from hypercode.store.workers import register_worker, renew_lease

logger = structlog.get_logger(__name__)
RENEWALS = 4
"""A lease is renewed so many times in its life."""
HOST = "host"


@dataclass(frozen=True)
class Identity:
    """Who a worker is. At its place, if it has one, no other worker lives at the same time."""

    worker_id: str
    roles: tuple[AgentRole, ...]
    place: str | None = None


def place_named(place: str | None) -> str | None:
    """``host`` stands for the name of this machine, which in a container is the container's own."""
    return f"host {socket.gethostname()}" if place == HOST else place


class Lease:
    """This process's lease; ``lost`` is set when it is over."""

    def __init__(
        self, database: Database, identity: Identity, settings: RunSettings, lost: asyncio.Event
    ) -> None:
        self._database = database
        self._identity = identity
        self._settings = settings
        self.worker_id = identity.worker_id
        self._lost = lost

    async def take(self) -> None:
        identity = self._identity
        row = WorkerRow(
            id=identity.worker_id,
            place=identity.place,
            host=socket.gethostname(),
            pid=os.getpid(),
            roles=_names(identity.roles),
            version=version("hypercode-platform"),
            loop_version=LOOP_VERSION,
        )
        async with self._database.transaction() as session:
            await register_worker(session, row)

    async def keep(self) -> None:
        """Renew it until it is lost. While Postgres is away nobody can take anything over, so that is only waited out."""
        while True:
            try:
                async with self._database.transaction() as session:
                    renewed = await renew_lease(session, self.worker_id)
            except DATABASE_AWAY as error:
                logger.warning("lease.not_renewed", error=type(error).__name__)
            else:
                if not renewed:
                    logger.error("lease.lost", worker_id=self.worker_id)
                    self._lost.set()
                    return
            await asyncio.sleep(self._settings.lease_s / RENEWALS)


def _names(roles: Sequence[AgentRole]) -> list[str]:
    return [role.value for role in roles]
