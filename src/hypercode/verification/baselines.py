"""What is frozen when a task is accepted: the environment, the checks, and what they reported at base."""

import asyncio
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from hypercode.domain.check import Check, CheckReport
from hypercode.domain.environment import Environment
from hypercode.verification.canaries import make_canary, read_canary, without_canary
from hypercode.verification.checks import CheckRunner, Place, Tree, run_check
from hypercode.verification.grades import red_at_base
from hypercode.verification.outcomes import is_collection, outcomes


class Canaries(StrEnum):
    """Whether canaries showed up at base. UNKNOWN when the suite could not run far enough to tell."""

    SEEN = "seen"
    UNSEEN = "unseen"
    UNKNOWN = "unknown"


class Baseline(BaseModel):
    """One check at base: its report (twice, where that could be told apart), tree and image."""

    model_config = ConfigDict(frozen=True)

    reports: list[CheckReport]
    canaries: Canaries
    tree: str
    image_id: str

    @property
    def red(self) -> set[str]:
        return red_at_base(self.reports)[0]


class Frozen(BaseModel):
    """Stored in ``runs.frozen``; nothing of it changes while the agent works."""

    model_config = ConfigDict(frozen=True)

    environment: Environment
    base_commit: str
    checks: list[Check]
    baselines: list[Baseline]


async def run_baseline(runner: CheckRunner, place: Place, check: Check, commit: str) -> Baseline:
    """Run a check at base; again with canaries, which shows flaky tests and whether canaries are seen."""
    tree = Tree(commit=commit)
    first = await run_check(runner, place, check, tree)
    reports = [first.report]
    canaries = Canaries.UNKNOWN
    if check.framework == "pytest" and first.report.tests:
        second, canaries = await _with_canaries(runner, place, first.report, tree)
        if second is not None:
            reports.append(second)
    if len(reports) == 1 and not first.report.green and first.report.exit_code is not None:
        reports.append((await run_check(runner, place, check, tree)).report)
    return Baseline(reports=reports, canaries=canaries, tree=first.tree, image_id=first.image_id)


async def _with_canaries(
    runner: CheckRunner, place: Place, known: CheckReport, tree: Tree
) -> tuple[CheckReport | None, Canaries]:
    """Run with canaries; no report when they change what the suite does (``-x``, a limit of failures)."""
    canary = make_canary(known.check, known)
    overlaid = tree.model_copy(update={"overlay": {canary.path: canary.text}})
    session = await run_check(runner, place, known.check, overlaid, canary.extra_argv)
    result = read_canary(canary, session.report)
    rest = without_canary(canary, session.report)
    same = outcomes(rest).keys() == outcomes(known).keys()
    if any(is_collection(test_id) for test_id in known.red_ids):
        return (rest if same else None), Canaries.UNKNOWN
    if not same or result.lies:
        return None, Canaries.UNSEEN
    return rest, Canaries.SEEN if result.seen else Canaries.UNSEEN


async def freeze_checks(
    runner: CheckRunner, place: Place, checks: list[Check], commit: str, *, at_once: int = 2
) -> list[Baseline]:
    """Run every check at base, a few at once."""
    limit = asyncio.Semaphore(at_once)

    async def one(check: Check) -> Baseline:
        async with limit:
            return await run_baseline(runner, place, check, commit)

    return list(await asyncio.gather(*(one(check) for check in checks)))
