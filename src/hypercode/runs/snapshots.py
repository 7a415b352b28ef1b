"""A run's snapshots: one of what it starts from, and one after every call that may have written. ADR 0023.

A snapshot bears the name of its call, so a step that is done again after a kill takes no second one; its row and the
event that it is tied to are written in one transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import HyperCodeError, SandboxDown, TooLarge, Unavailable
from hypercode.domain.event import NoticeRaised, Payload
from hypercode.domain.snapshot import Snapshot
from hypercode.events.eras import in_era
from hypercode.events.log import append
from hypercode.llm.base import ToolSpec
from hypercode.platform_api.snapshots import SnapshotTake
from hypercode.runs.preparation import RunFacts
from hypercode.runs.services import Services
from hypercode.store.runs import get_run
from hypercode.store.snapshots import add_snapshot, seq_of
from hypercode.telemetry.metrics import SNAPSHOT_SECONDS, timed

logger = structlog.get_logger(__name__)
BASE = "base"
DOWN_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
First = Callable[[AsyncSession], Awaitable[None]]


class Snapshots:
    """Takes the snapshots of one run; ``tools`` say of themselves which of them only read."""

    def __init__(self, services: Services, facts: RunFacts, tools: Sequence[ToolSpec] = ()) -> None:
        self._services = services
        self._facts = facts
        self._read_only = frozenset(tool.name for tool in tools if tool.read_only)
        self._given_up = False

    async def base(self) -> None:
        """Keep what the run starts from, tied to the event that says so."""
        taken = await self._take(BASE)
        run_id = self._facts.run_id
        async with self._services.database.transaction() as session:
            run = await get_run(session, run_id)
            if isinstance(taken, Snapshot):
                seq = await seq_of(session, run_id, "workspace") or 0
                await add_snapshot(session, run, seq, BASE, "", taken)
            elif taken is not None:
                await append(session, run_id, "snapshots:failed", [taken])

    async def after(
        self, tool: str, step_key: str, payloads: Sequence[Payload], *, first: First | None = None
    ) -> None:
        """Tell of a call by its events, with a snapshot tied to the first of them if the call may have written.

        ``first`` is done first in the same transaction.
        """
        run_id = self._facts.run_id
        taken = None if tool in self._read_only else await self._take(step_key)
        if taken is None and first is None:
            await self._services.record(run_id, step_key, *payloads)
            return
        async with self._services.database.transaction() as session:
            if first is not None:
                await first(session)
            last = await append(session, run_id, step_key, payloads)
            if isinstance(taken, Snapshot):
                run = await get_run(session, run_id)
                await add_snapshot(session, run, last - len(payloads) + 1, in_era(step_key), tool, taken)
            elif taken is not None:
                await append(session, run_id, "snapshots:failed", [taken])

    async def _take(self, key: str) -> Snapshot | NoticeRaised | None:
        """Take one, or say why there is none; a run is not failed for what it can go on without."""
        if self._given_up:
            return None
        facts = self._facts
        asked = SnapshotTake(
            run_id=facts.run_id, workspace_id=facts.workspace_id, key=f"{facts.run_id} {in_era(key)}"
        )
        try:
            with timed(SNAPSHOT_SECONDS):
                return await self._asked(asked)
        except Unavailable:
            raise  # a part of the platform is away: the step is done again when it is back
        except HyperCodeError as error:
            self._given_up = isinstance(error, TooLarge)
            logger.warning("run.no_snapshot", run_id=facts.run_id, code=error.code, reason=error.message)
            return NoticeRaised(
                level="warning",
                code="NO_SNAPSHOT",
                message=f"The workspace could not be kept after a call: {error.message}",
                hint="The run goes on; a fork or rewind to this point finds the snapshot before.",
            )

    async def _asked(self, request: SnapshotTake) -> Snapshot:
        """Ask again while sandboxd or the engine is started anew: a repeat takes no second one."""
        for pause in DOWN_PAUSES_S:
            try:
                return await self._services.platform.snapshot_take(request)
            except SandboxDown:
                await asyncio.sleep(pause)
        return await self._services.platform.snapshot_take(request)
