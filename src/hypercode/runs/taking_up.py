"""A worker takes a segment of a run up: what was done before, and what people want of the run by now."""

from dataclasses import dataclass
from typing import Any

from hypercode.runs.eras import counted_steps
from hypercode.runs.pausing import write_going_on
from hypercode.runs.services import Services
from hypercode.runs.step import patiently
from hypercode.store.runs import get_run
from hypercode.store.steering import wanted_of
from hypercode.store.tables import RunRow


@dataclass(frozen=True)
class TakenUp:
    """``earlier`` are the results of steps that count, by their names; ``era`` is the one that it is in."""

    earlier: dict[str, dict[str, Any]]
    era: int
    trace_parent: str | None


async def take_up(services: Services, run_id: str, segment: int) -> TakenUp | None:
    """Return what the segment begins with; None when it is not to be worked on (any more)."""

    async def begin() -> TakenUp | None:
        async with services.database.transaction() as session:
            run = await get_run(session, run_id)
            if _void(run, segment):
                return None
            (wanted,) = await wanted_of(session, [run_id])
            services.control.tell(wanted)
            await write_going_on(session, run)
            counted = await counted_steps(session, run, segment)
            earlier = {name: step.result for name, step in counted.items()}
            return TakenUp(earlier, run.era, run.trace_parent)

    services.control.follow(run_id)
    taken = await patiently(begin)
    if taken is None:
        services.control.forget(run_id)
    return taken


def _void(run: RunRow, segment: int) -> bool:
    """Parked, gone on as a later segment, or ended before any worker saw it."""
    never_began = run.ended_at is not None and run.started_at is None
    return run.segment != segment or run.parked_at is not None or never_began
