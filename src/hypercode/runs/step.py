"""A durable step: done once, its result kept, whatever is killed around it.

What a step returns is plain JSON. Errors of ours are results too, so that a replay raises the same error at
the same place; a person's cancel ends the step at once and is a result as well.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
from dbos import DBOS
from pydantic import BaseModel

from hypercode.domain.errors import (
    Cancelled,
    EnvironmentFailed,
    HyperCodeError,
    SandboxDown,
    Unavailable,
)
from hypercode.domain.event import NoticeRaised
from hypercode.events.eras import in_era
from hypercode.runs.asked import digest_of
from hypercode.runs.segments import PARKED
from hypercode.runs.services import Services
from hypercode.runs.waiting import Park, Waiting
from hypercode.store.database import DATABASE_AWAY, database_away
from hypercode.store.ownership import LeaseLost
from hypercode.telemetry.metrics import STEP_SECONDS, timed
from hypercode.telemetry.tracing import span

logger = structlog.get_logger(__name__)

Work = Callable[[], Awaitable[dict[str, Any]]]
T = TypeVar("T")
ASKED = "asked"
AWAY = (Unavailable, SandboxDown, *DATABASE_AWAY)
AWAY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
"""A part of the platform that was killed is back within this time, Postgres and the container engine included."""


async def patiently(
    work: Callable[[], Awaitable[T]], on_down: Callable[[SandboxDown], Awaitable[None]] | None = None
) -> T:
    """Do work that may be done again, as after a kill, until the platform's own parts all answer.

    ``on_down`` is told once when it is the engine that does not: a person may have to start it.
    """
    for pause in AWAY_PAUSES_S:
        try:
            return await work()
        except AWAY as error:
            logger.warning("part_away", error=type(error).__name__, pause_s=pause)
            if on_down is not None and isinstance(error, SandboxDown):
                await on_down(error)
                on_down = None
            await asyncio.sleep(pause)
    return await work()


class StepFailed(HyperCodeError):
    """A step's error of ours, as it was kept: code, message and hint of the original."""

    def __init__(self, kept: dict[str, str]) -> None:
        super().__init__(kept["message"], hint=kept["hint"])
        self.code = kept["code"]
        self.log_tail = kept.get("log_tail", "")
        self.phase = kept.get("phase", "")


class StepDoer(Protocol):
    """Does the steps of a run: durably, or again from a recording. ``asked`` is what the result depends on."""

    async def do(
        self, name: str, work: Work, *, asked: BaseModel | None = None, cancellable: bool = True
    ) -> dict[str, Any]:
        """Return the step's result; raises what was raised in its place."""
        ...


class Steps:
    """The durable steps of one segment of a run; ``earlier`` are the results that segments before it came to."""

    def __init__(
        self, services: Services, run_id: str, waiting: Waiting, earlier: Mapping[str, dict[str, Any]]
    ) -> None:
        self._services = services
        self._run_id = run_id
        self._waiting = waiting
        self._earlier = earlier
        self._done = 0

    async def do(
        self, name: str, work: Work, *, asked: BaseModel | None = None, cancellable: bool = True
    ) -> dict[str, Any]:
        """Do the work once and return its result; raises StepFailed, Cancelled when a person stopped it, or Park."""
        if name in self._earlier:
            return result_of(self._earlier[name])
        if cancellable and self._done >= self._services.settings.runs.steps_per_segment:
            await patiently(self._waiting.turn_over)
            raise Park
        self._done += 1
        question = {} if asked is None else {ASKED: digest_of(asked)}
        # "model:3" is the third of its kind; the label is the kind.
        kind, plain, name = name.partition(":")[0], name, in_era(name)

        async def guarded() -> dict[str, Any]:
            with (
                span(f"step {kind}", step=name),
                timed(STEP_SECONDS, kind) as timing,
            ):
                try:
                    return await self._done_or_parked(plain, work, cancellable=cancellable) | question
                except Cancelled:
                    timing.outcome = "cancelled"
                    return {"cancelled": True, **question}
                except HyperCodeError as error:
                    timing.outcome = "failed"
                    return {"error": _kept(error), **question}
                except DATABASE_AWAY as error:
                    timing.outcome = "failed"
                    return {"error": _kept(database_away(error)), **question}
                except LeaseLost:
                    self._services.control.lost.set()
                    raise

        return result_of(await DBOS.run_step_async({"name": name}, guarded))

    async def _done_or_parked(self, name: str, work: Work, *, cancellable: bool) -> dict[str, Any]:
        while True:
            try:
                doing = self._unless_stopped(name, work) if cancellable else patiently(work)
                return {"ok": await doing}
            except Park:
                # Not cancellable: a run that is parked in the database must also be parked here.
                if await patiently(self._waiting.park):
                    return {PARKED: True}

    async def _say_down(self, name: str, down: SandboxDown) -> None:
        trying = f"{down.message}. Trying again for {sum(AWAY_PAUSES_S):.0f} s."
        notice = NoticeRaised(level="warning", code=down.code, message=trying, hint=down.hint)
        await self._services.record(self._run_id, f"{name}:down", notice)

    async def _unless_stopped(self, name: str, work: Work) -> dict[str, Any]:
        """Do the work while nobody cancels the run; a pause holds it here, before it begins."""
        control, run_id = self._services.control, self._run_id
        cancelled, rewound = control.cancelled(run_id), control.rewound(run_id)
        if control.held(run_id) and not cancelled.is_set():
            raise Park
        if cancelled.is_set():
            raise Cancelled("The run was cancelled.")
        task = asyncio.ensure_future(patiently(work, partial(self._say_down, name)))
        stops = [asyncio.ensure_future(signal.wait()) for signal in (cancelled, rewound)]
        try:
            await asyncio.wait({task, *stops}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if cancelled.is_set():
                raise Cancelled("The run was cancelled.")
            raise Park
        finally:
            for future in (task, *stops):
                future.cancel()
            await asyncio.gather(task, *stops, return_exceptions=True)


def result_of(result: dict[str, Any]) -> dict[str, Any]:
    """What a kept result comes to: a value, or what was raised in its place."""
    if "error" in result:
        raise StepFailed(result["error"])
    if "cancelled" in result:
        raise Cancelled("The run was cancelled.")
    if PARKED in result:
        raise Park
    return result["ok"]


def _kept(error: HyperCodeError) -> dict[str, str]:
    kept = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, EnvironmentFailed):
        kept |= {"phase": error.phase, "log_tail": error.log_tail}
    return kept
