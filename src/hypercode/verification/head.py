"""Running the frozen checks at head: as it is, and with the original tests and canaries."""

import asyncio
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from hypercode.domain.attestation import Finding
from hypercode.domain.check import Check
from hypercode.verification.baselines import Baseline, Frozen
from hypercode.verification.canaries import make_canary, without_canary
from hypercode.verification.checks import CheckRunner, Place, Session, Tree, run_check
from hypercode.verification.crosschecks import canary_findings, consistency_findings
from hypercode.verification.grades import Evidence


class Head(BaseModel):
    """The commit to judge, and the paths of its diff that belong to the frozen checks."""

    model_config = ConfigDict(frozen=True)

    commit: str
    base_commit: str
    frozen_paths: list[str]

    def tree(self) -> Tree:
        return Tree(commit=self.commit)

    def original_tree(self) -> Tree:
        restore_from = self.base_commit if self.frozen_paths else None
        return Tree(commit=self.commit, restore_paths=self.frozen_paths, restore_paths_from=restore_from)


class Judged(BaseModel):
    """One check at head: the evidence for grading, what the reports themselves show, and the plain run."""

    model_config = ConfigDict(frozen=True)

    evidence: Evidence
    findings: list[Finding]
    plain: Session


async def judge_check(
    runner: CheckRunner, place: Place, check: Check, baseline: Baseline, head: Head
) -> Judged:
    """Run a check at head twice, at the same time: as it is, and with the original tests.

    The second run carries the canaries; its exit code is never recorded, since they make it 1.
    """
    if check.framework != "pytest":
        return await _judge_command(runner, place, check, baseline, head)
    canary = make_canary(check, baseline.reports[0], taken=head.frozen_paths)
    original = head.original_tree().model_copy(update={"overlay": {canary.path: canary.text}})
    plain, watched = await asyncio.gather(
        run_check(runner, place, check, head.tree()),
        run_check(runner, place, check, original, canary.extra_argv),
    )
    findings = [*consistency_findings(plain), *canary_findings(canary, watched, baseline.canaries)]
    evidence = Evidence(
        base=baseline.reports,
        head=plain.report,
        original=without_canary(canary, watched.report),
        same_tests=not head.frozen_paths,
    )
    return Judged(evidence=evidence, findings=findings, plain=plain)


async def _judge_command(
    runner: CheckRunner, place: Place, check: Check, baseline: Baseline, head: Head
) -> Judged:
    plain = await run_check(runner, place, check, head.tree())
    original = plain
    if head.frozen_paths:
        original = await run_check(runner, place, check, head.original_tree())
    evidence = Evidence(
        base=baseline.reports,
        head=plain.report,
        original=original.report,
        same_tests=not head.frozen_paths,
    )
    message = "judged at command level only: no report of single tests, no canaries"
    return Judged(evidence=evidence, findings=[Finding(code="command_level", message=message)], plain=plain)


async def judge_checks(runner: CheckRunner, place: Place, frozen: Frozen, head: Head) -> Sequence[Judged]:
    """Judge the checks one after another, since each runs in two containers already."""
    pairs = zip(frozen.checks, frozen.baselines, strict=True)
    return [await judge_check(runner, place, check, baseline, head) for check, baseline in pairs]
