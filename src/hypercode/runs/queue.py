"""A worker's end of the queue: it claims runs when it is woken or has room again, and works on each as a durable workflow."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import structlog
from dbos import DBOS, SetWorkflowID
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.event import RunStatusChanged
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.events import log
from hypercode.runs.control import RunControl
from hypercode.runs.ending import Outcome, count_end, write_end
from hypercode.runs.leases import Identity
from hypercode.runs.sharing import Limit, share
from hypercode.runs.step import patiently
from hypercode.settings import RunSettings
from hypercode.store.claims import Queued, busy_runs, lock_claims, queued_runs, take_runs
from hypercode.store.database import DATABASE_AWAY, Database
from hypercode.store.ownership import LeaseLost, Owner, let_go_own
from hypercode.store.queue import release_run, segment_id
from hypercode.store.runs import get_run, locked_after_its_parent, locked_run
from hypercode.telemetry.metrics import RECOVERY_SECONDS

logger = structlog.get_logger(__name__)
LOOK_S = 2.0
"""How often a worker looks without being woken: a wake-up may get lost, and a limit may have room again elsewhere."""
DEPTH = 50

BROKEN = Outcome(
    status=RunStatus.FAILED,
    error_code="INTERNAL",
    error_message="Something inside the platform went wrong while this run was worked on.",
    error_hint="The worker's log says what. Retry the run, or fork it before its last event.",
)

Segment = Callable[[str, int], Coroutine[Any, Any, None]]
"""A run's segment, as DBOS knows it."""


class Claims:
    """Takes runs for this worker and begins them."""

    def __init__(
        self, database: Database, control: RunControl, identity: Identity, settings: RunSettings
    ) -> None:
        self._database = database
        self._control = control
        self._identity = identity
        self._settings = settings
        self._works: set[asyncio.Task[None]] = set()

    async def keep_claiming(self, segment: Segment) -> None:
        while True:
            self._control.queued.clear()
            try:
                taken = await self._claim()
            except DATABASE_AWAY as error:
                logger.warning("queue.away", error=type(error).__name__)
                taken = []
            for run in taken:
                self._begin(run, segment)
            if not taken:
                await self._woken()

    async def _claim(self) -> list[Queued]:
        """Take as many runs as there is room for and limits allow, and say why others have to wait."""
        roles = [role.value for role in self._identity.roles]
        room = max(0, self._settings.per_worker - self._control.number_at_work())
        async with self._database.transaction() as session:
            await lock_claims(session)
            queued = await queued_runs(session, roles, room + DEPTH)
            if not queued:
                return []
            shares = share(queued, await busy_runs(session), self._settings, room)
            if shares.taken:
                await take_runs(session, shares.taken, self._identity.worker_id)
            for run in queued:
                if run.run_id in shares.held and run.wait_reason != WaitReason.LIMIT.value:
                    await _hold(session, run, shares.held[run.run_id])
        return shares.taken

    def _begin(self, run: Queued, segment: Segment) -> None:
        if run.lost_at is not None:
            RECOVERY_SECONDS.observe(max(0.0, (datetime.now(UTC) - run.lost_at).total_seconds()))
        if run.cancelled:
            self._control.cancelled(run.run_id).set()
        self._control.begun(run.run_id)
        work = asyncio.create_task(self._work(run, segment))
        self._works.add(work)
        work.add_done_callback(self._works.discard)

    async def _work(self, run: Queued, segment: Segment) -> None:
        try:
            await self._to_its_end(run, segment)
        except LeaseLost:
            self._control.lost.set()
        finally:
            self._control.ended(run.run_id)

    async def _to_its_end(self, run: Queued, segment: Segment) -> None:
        try:
            with SetWorkflowID(segment_id(run.run_id, run.segment)):
                handle = await DBOS.start_workflow_async(segment, run.run_id, run.segment)
            await handle.get_result()
        except LeaseLost:
            raise
        except DATABASE_AWAY as error:
            logger.warning("run.broken_off", run_id=run.run_id, error=type(error).__name__)
            await patiently(lambda: self._give_back(run))
        except Exception:
            logger.exception("run.broken", run_id=run.run_id)
            await patiently(lambda: self._fail(run))

    async def _give_back(self, run: Queued) -> None:
        """Postgres went away while the journal wrote: the segment has ended there, and the run goes on as its next one."""
        await DBOS.cancel_workflow_async(segment_id(run.run_id, run.segment))
        async with self._database.transaction() as session:
            if (await locked_run(session, run.run_id)).segment == run.segment:
                await release_run(session, run.run_id, self._identity.worker_id)

    async def _fail(self, run: Queued) -> None:
        """What nobody foresaw ends a run with words, instead of leaving it in the hands of a worker that lives."""
        async with self._database.owned(Owner(run.run_id, self._identity.worker_id)).transaction() as session:
            row = await locked_after_its_parent(session, run.run_id)
            if row.segment == run.segment and row.ended_at is None and row.parked_at is None:
                count_end(row, await write_end(session, row, BROKEN))
                await let_go_own(session, row.id)

    async def _woken(self) -> None:
        try:
            await asyncio.wait_for(self._control.queued.wait(), LOOK_S)
        except TimeoutError:
            return


async def _hold(session: AsyncSession, queued: Queued, limit: Limit) -> None:
    """Say once what the run waits for; it goes on by itself."""
    run = await get_run(session, queued.run_id)
    run.wait_reason = WaitReason.LIMIT.value
    words = {
        Limit.PLATFORM: "As many runs as this platform allows are at work",
        Limit.PROJECT: "As many runs as this project may have at once are at work",
        Limit.USER: "As many runs as one person may have at once are at work",
    }
    told = RunStatusChanged(
        status=RunStatus(run.status),
        wait_reason=WaitReason.LIMIT,
        detail=f"{words[limit]}; this one waits its turn",
    )
    await log.append(session, run.id, f"held:{run.segment}:{limit.value}", [told])
