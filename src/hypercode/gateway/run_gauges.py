"""Runs that have not ended and approvals that are pending, counted in Postgres when the gateway is scraped."""

import time
from datetime import UTC, datetime

import anyio
from sqlalchemy.exc import SQLAlchemyError

from hypercode.domain.role import RUN_ROLES
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.store.approvals import pending_approvals
from hypercode.store.database import Database
from hypercode.store.questions import open_questions
from hypercode.store.runs import LiveRuns, live_runs
from hypercode.store.workers import Census, census
from hypercode.telemetry.metrics import (
    APPROVAL_AGE_SECONDS,
    APPROVALS_PENDING,
    QUEUE_AGE_SECONDS,
    RUNS,
    RUNS_WAITING,
    WORKERS,
)

Pending = tuple[int, datetime | None]
FRESH_S = 5.0
TIMEOUT_S = 2.0


class RunGauges:
    """Sets the gauges, at most once in a few seconds however often the gateway is scraped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read_at = float("-inf")
        self._reading = anyio.Lock()

    async def refresh(self) -> None:
        """Read again when the numbers are old; without Postgres there are none."""
        async with self._reading:
            if time.monotonic() - self._read_at < FRESH_S:
                return
            read = await self._read()
            self._read_at = time.monotonic()
        for gauge in (
            RUNS,
            RUNS_WAITING,
            WORKERS,
            QUEUE_AGE_SECONDS,
            APPROVALS_PENDING,
            APPROVAL_AGE_SECONDS,
        ):
            gauge.clear()
        if read is not None:
            _show(read[0])
            for kind, pending in read[1].items():
                _show_pending(kind, *pending)
            for state, number in read[2].by_state.items():
                WORKERS.labels(state).set(number)

    async def _read(self) -> tuple[list[LiveRuns], dict[str, Pending], Census] | None:
        with anyio.move_on_after(TIMEOUT_S):
            try:
                async with self._database.transaction() as session:
                    pending = {
                        "approval": await pending_approvals(session),
                        "question": await open_questions(session),
                    }
                    return await live_runs(session), pending, await census(session)
            except (SQLAlchemyError, OSError):
                return None
        return None


def _show(live: list[LiveRuns]) -> None:
    """Set every label, those without a run to 0: a gap would look like a lost scrape."""
    now = datetime.now(UTC)
    for role in RUN_ROLES:
        of_role = [each for each in live if each.role == role.value]
        for status in RunStatus:
            if not status.ended:
                number = sum(each.number for each in of_role if each.status == status.value)
                RUNS.labels(role.value, status.value).set(number)
        queued = [each.oldest for each in of_role if each.status == RunStatus.QUEUED.value]
        age = (now - min(queued)).total_seconds() if queued else 0.0
        QUEUE_AGE_SECONDS.labels(role.value).set(max(0.0, age))
    for reason in WaitReason:
        waiting = sum(each.number for each in live if each.wait_reason == reason.value)
        RUNS_WAITING.labels(reason.value).set(waiting)


def _show_pending(kind: str, number: int, oldest: datetime | None) -> None:
    APPROVALS_PENDING.labels(kind).set(number)
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    APPROVAL_AGE_SECONDS.labels(kind).set(max(0.0, age))
