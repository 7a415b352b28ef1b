"""Whose turn it is. Pure: who waits, who is at work and what is allowed come in; who is taken and who is held go out.

Between projects the workers are shared evenly: the one with the fewest runs at work goes first, then the one whose last turn
is longest ago. Inside a project priority decides, then what has begun already, then who waits longest.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from hypercode.settings import RunSettings
from hypercode.store.claims import Busy, Queued

NEVER = datetime.min.replace(tzinfo=UTC)


class Limit(StrEnum):
    """Whose runs at once are at their limit."""

    PLATFORM = "platform"
    PROJECT = "project"
    USER = "user"


@dataclass
class Shares:
    """Which runs are taken, and which limit holds back those that would be next."""

    taken: list[Queued] = field(default_factory=list[Queued])
    held: dict[str, Limit] = field(default_factory=dict[str, Limit])


@dataclass
class _AtWork:
    projects: Counter[str]
    users: Counter[str]
    total: int

    def add(self, run: Queued) -> None:
        self.projects[run.project_id] += 1
        self.users[run.user_id] += 1
        self.total += 1


def share(queued: Sequence[Queued], busy: Sequence[Busy], limits: RunSettings, room: int) -> Shares:
    """Choose for one worker with ``room`` for so many; a cancelled run needs no room, it only has to be ended."""
    shares = Shares(taken=[run for run in queued if run.cancelled])
    at_work = _count(busy)
    waiting = _by_project([run for run in queued if not run.cancelled])
    turns = {project: runs[0].served_at or NEVER for project, runs in waiting.items()}
    while room > 0 and waiting:
        project = min(waiting, key=lambda p: (at_work.projects[p], turns[p], waiting[p][0].queued_at))
        run = _next(waiting[project], at_work, limits, shares.held)
        if run is None:
            del waiting[project]
            continue
        shares.taken.append(run)
        at_work.add(run)
        room -= 1
        turns[project] = datetime.now(UTC)
        if not waiting[project]:
            del waiting[project]
    return shares


def _count(busy: Sequence[Busy]) -> _AtWork:
    at_work = _AtWork(Counter(), Counter(), 0)
    for each in busy:
        at_work.projects[each.project_id] += each.number
        at_work.users[each.user_id] += each.number
        at_work.total += each.number
    return at_work


def _by_project(queued: Sequence[Queued]) -> dict[str, list[Queued]]:
    waiting: dict[str, list[Queued]] = {}
    for run in sorted(queued, key=lambda run: (-run.priority, not run.begun, run.queued_at, run.run_id)):
        waiting.setdefault(run.project_id, []).append(run)
    return waiting


def _next(
    waiting: list[Queued], at_work: _AtWork, limits: RunSettings, held: dict[str, Limit]
) -> Queued | None:
    """Take the first that no limit holds; those before it are noted as held."""
    while waiting:
        run = waiting.pop(0)
        limit = _limit(run, at_work, limits)
        if limit is None:
            return run
        held[run.run_id] = limit
    return None


def _limit(run: Queued, at_work: _AtWork, limits: RunSettings) -> Limit | None:
    for limit, allowed, number in (
        (Limit.PLATFORM, limits.per_platform, at_work.total),
        (Limit.PROJECT, limits.per_project, at_work.projects[run.project_id]),
        (Limit.USER, limits.per_user, at_work.users[run.user_id]),
    ):
        if allowed is not None and number >= allowed:
            return limit
    return None
