"""Which events and steps of a run count. A rewind begins an era that goes on from an earlier event; a fork is a run that
does so from another one's. So the history is a tree: back from an event there is one line, and only it counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import PointUnreachable
from hypercode.domain.steering import Verb
from hypercode.events.eras import prefix_of
from hypercode.runs.segments import finished_steps
from hypercode.store.archives import get_archive
from hypercode.store.runs import get_run
from hypercode.store.snapshots import snapshot_at
from hypercode.store.tables import RunCommandRow, RunEventRow, RunHeadRow, RunRow, SnapshotRow

PREPARED = ("begin", "workspace", "environment", "sandbox", "checks", "survey")
"""Steps of before the agent: no rewind goes back before them."""
TOO_EARLY = "Retry the run from scratch instead."


@dataclass(frozen=True)
class Span:
    """The events of one era that count: after ``after``, up to ``to``; to the newest when that is None."""

    era: int
    after: int
    to: int | None

    @property
    def prefix(self) -> str:
        return prefix_of(self.era)


async def line_to(session: AsyncSession, run: RunRow, seq: int | None) -> list[Span]:
    """The line back from an event, or from the newest, era by era."""
    rewinds = await _rewinds(session, run.id)
    starts = {0: 0} | {era: start for era, start, _ in rewinds}
    bases = {era: base for era, _, base in rewinds}
    era = run.era if seq is None else max(era for era, start in starts.items() if start < seq)
    spans = [Span(era, starts[era], seq)]
    while era:
        seq = bases[era]
        era = max(each for each, start in starts.items() if start < seq)
        spans.append(Span(era, starts[era], seq))
    return spans


async def _rewinds(session: AsyncSession, run_id: str) -> Sequence[tuple[int, int, int]]:
    """Each era, the event that it begins after, and the one that it goes on from."""
    rows = await session.execute(
        select(RunCommandRow.era, RunCommandRow.era_start, RunCommandRow.seq)
        .where(
            RunCommandRow.run_id == run_id,
            RunCommandRow.verb == Verb.REWIND.value,
            RunCommandRow.era.is_not(None),
        )
        .order_by(RunCommandRow.era)
    )
    return [(era or 0, start or 0, seq or 0) for era, start, seq in rows]


async def snapshot_on(session: AsyncSession, run: RunRow, seq: int) -> SnapshotRow | None:
    """What the workspace was at an event: the newest snapshot on the line back from it."""
    for span in await line_to(session, run, seq):
        found = await snapshot_at(session, run.id, span.to or seq)
        if found is not None and found.seq > span.after:
            return found
    return None


@dataclass(frozen=True)
class CountedStep:
    """A finished step that counts; ``inherited`` are those of the run that this one was forked from."""

    result: dict[str, Any]
    era: int = 0
    inherited: bool = False


async def counted_steps(
    session: AsyncSession, run: RunRow, segment: int, seq: int | None = None
) -> dict[str, CountedStep]:
    """Steps by their plain names, in their order: those on the line back from an event, or from the newest one."""
    counted: dict[str, CountedStep] = {}
    if run.forked_from is not None and run.forked_at_seq is not None:
        origin = await get_run(session, run.forked_from)
        steps = await counted_steps(session, origin, origin.segment + 1, run.forked_at_seq)
        counted = {name: replace(s, inherited=True) for name, s in steps.items() if name not in PREPARED[:-1]}
    finished = await finished_steps(session, run.id, segment) if segment else {}
    counted |= {name: CountedStep(finished[name]) for name in PREPARED if name in finished}
    for span in reversed(await line_to(session, run, seq)):
        counted |= await _of_span(session, run, span, finished)
    counted = {name: counted[name] for name in PREPARED if name in counted} | counted
    return counted if seq is None else _open_ended(counted)


async def _of_span(
    session: AsyncSession, run: RunRow, span: Span, finished: Mapping[str, dict[str, Any]]
) -> dict[str, CountedStep]:
    own = {
        name.removeprefix(span.prefix): result
        for name, result in finished.items()
        if name.startswith(span.prefix) and "/" not in name.removeprefix(span.prefix)
    }
    if span.to is not None:
        keys = await told_by(session, run.id, span)
        own = {name: result for name, result in own.items() if "ok" in result and _told(name, result, keys)}
    return {name: CountedStep(result, span.era) for name, result in own.items()}


async def told_by(session: AsyncSession, run_id: str, span: Span) -> set[str]:
    """The keys of steps under which events of this span were written, without the era."""
    rows = await session.scalars(
        select(RunEventRow.step_key).where(
            RunEventRow.run_id == run_id, RunEventRow.seq > span.after, RunEventRow.seq <= span.to
        )
    )
    return {key.removeprefix(span.prefix) for key in rows if key.startswith(span.prefix)}


def _told(name: str, result: Mapping[str, Any], keys: set[str]) -> bool:
    """Whether a step of the agent's was finished by then: its last event is among these."""
    kind, _, turn = name.partition(":")
    match kind:
        case "model":
            return name in keys
        case "tools":
            outcomes = result["ok"]["outcomes"]
            return all(f"tool:{turn}.{n}:completed" in keys for n in range(len(outcomes)))
        case "children":
            return f"{name}:ended" in keys
        case _:
            return False


def _open_ended(counted: dict[str, CountedStep]) -> dict[str, CountedStep]:
    """Without the reply that ended the run: who goes on from there asks the model anew."""
    turns = [int(name.partition(":")[2]) for name in counted if name.startswith("model:")]
    last = counted.get(f"model:{max(turns, default=0)}")
    if last is not None and not last.result["ok"]["calls"] and not last.result["ok"].get("after"):
        return {name: step for name, step in counted.items() if step is not last}
    return counted


async def check_point(session: AsyncSession, run: RunRow, seq: int) -> None:
    """Raise PointUnreachable when nothing can go on from this event."""
    for each in await _line_of_runs(session, run):
        if await get_archive(session, each.id) is not None:
            raise PointUnreachable(
                f"Run {each.id} is archived, and its workspace was not kept.", hint=TOO_EARLY
            )
    if seq > await head_of(session, run.id):
        raise PointUnreachable(
            f"The run has no event {seq} yet.", hint="Its newest events have the highest seq."
        )
    began = await session.scalar(
        select(RunEventRow.seq).where(RunEventRow.run_id == run.id, RunEventRow.step_key == "sandbox")
    )
    if began is None or seq < began:
        raise PointUnreachable(f"At event {seq} the agent had not begun.", hint=TOO_EARLY)
    if await _children_at_work(session, run, seq):
        raise PointUnreachable(
            f"At event {seq} delegated runs were at work.", hint="Choose an event before or after them."
        )
    if await snapshot_on(session, run, seq) is None:
        raise PointUnreachable(f"The workspace of event {seq} was not kept.", hint=TOO_EARLY)


async def _line_of_runs(session: AsyncSession, run: RunRow) -> list[RunRow]:
    """The run, the one that it was forked from, and so on."""
    line = [run]
    while (origin := line[-1].forked_from) is not None and line[-1].forked_at_seq is not None:
        line.append(await get_run(session, origin))
    return line


async def head_of(session: AsyncSession, run_id: str) -> int:
    head = await session.scalar(select(func.max(RunHeadRow.seq)).where(RunHeadRow.run_id == run_id))
    return int(head or 0)


async def _children_at_work(session: AsyncSession, run: RunRow, seq: int) -> bool:
    at_work: set[str] = set()
    for span in reversed(await line_to(session, run, seq)):
        rows = await session.scalars(
            select(RunEventRow.payload)
            .where(
                RunEventRow.run_id == run.id,
                RunEventRow.type == "plan_item.changed",
                RunEventRow.seq > span.after,
                RunEventRow.seq <= span.to,
            )
            .order_by(RunEventRow.seq)
        )
        for payload in rows:
            change = at_work.add if payload["status"] == "delegated" else at_work.discard
            change(payload["child_run_id"])
    return bool(at_work)
