"""Grading: what the frozen checks reported at base and at head becomes a verdict. Pure."""

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from hypercode.domain.attestation import Finding, Grade, Verdict
from hypercode.domain.check import CheckReport, TestOutcome
from hypercode.verification.outcomes import (
    counts,
    is_collection,
    is_command,
    is_red,
    network_ids,
    outcomes,
    resolved,
    unusable,
)

NAMES_SHOWN = 5


class Evidence(BaseModel):
    """The reports of one check: once or twice at base, at head as it is, at head with the original tests.

    ``same_tests`` says that the diff touches no test, so that the last two ran the same files.
    """

    model_config = ConfigDict(frozen=True)

    base: list[CheckReport] = Field(min_length=1)
    head: CheckReport
    original: CheckReport
    same_tests: bool


class Comparison(BaseModel):
    """What changed between base and head for one check."""

    model_config = ConfigDict(frozen=True)

    base_red: set[str] = Field(default_factory=set)
    now_passing: set[str] = Field(default_factory=set)
    still_failing: set[str] = Field(default_factory=set)
    newly_failing: set[str] = Field(default_factory=set)
    flaky: set[str] = Field(default_factory=set)
    needs_network: set[str] = Field(default_factory=set)
    missing: set[str] = Field(default_factory=set)
    reasons: list[str] = Field(default_factory=list)


def red_at_base(reports: Sequence[CheckReport]) -> tuple[set[str], set[str]]:
    """Return the ids that are red each time at base, and the flaky ones, which differ between two times."""
    first = outcomes(reports[0])
    flaky: set[str] = set()
    for report in reports[1:]:
        again = outcomes(report)
        flaky |= {i for i in first.keys() | again.keys() if first.get(i) is not again.get(i)}
    return {i for i, outcome in first.items() if is_red(outcome) and i not in flaky}, flaky


def compare(evidence: Evidence) -> Comparison:
    """Compare one check's reports; with a reason instead when one of them says nothing."""
    places = {"at base": evidence.base[0], "at head": evidence.head}
    if not evidence.same_tests:
        places["at head with the original tests"] = evidence.original
    reasons = [f"a check {why} ({place})" for place, report in places.items() if (why := unusable(report))]
    if reasons:
        return Comparison(reasons=reasons)
    red, flaky = red_at_base(evidence.base)
    base, head, original = (outcomes(r) for r in (evidence.base[0], evidence.head, evidence.original))
    unsettled: set[str] = set()
    if evidence.same_tests:
        # Two runs of the same files at the same tree: what differs is flaky, not fixed and not broken.
        unsettled = {i for i in head.keys() | original.keys() if head.get(i) is not original.get(i)} - flaky
    reasons = [f"flaky at head: {names(unsettled)}"] if unsettled else []
    flaky |= unsettled
    fixed = {i for i in red if resolved(i, original) and not is_red(head.get(i))} - flaky
    still = red - fixed - flaky
    missing = (
        {i for i in base if i not in original and not is_collection(i) and not is_command(i)} - red - flaky
    )
    return Comparison(
        base_red=red,
        now_passing=fixed,
        still_failing=still,
        newly_failing=_newly_failing(base, head, original) - red - flaky,
        flaky=flaky,
        needs_network=still & (network_ids(evidence.base[0]) | network_ids(evidence.original)),
        missing=missing,
        reasons=[*reasons, *_fewer(evidence, missing)],
    )


def _newly_failing(
    base: dict[str, TestOutcome], head: dict[str, TestOutcome], original: dict[str, TestOutcome]
) -> set[str]:
    """Red at head in either run, or passed at base and now skipped by the original tests themselves."""
    red = {i for found in (head, original) for i, outcome in found.items() if is_red(outcome)}
    skipped = {
        i for i, o in original.items() if o is TestOutcome.SKIPPED and base.get(i) is TestOutcome.PASSED
    }
    return red | skipped


def _fewer(evidence: Evidence, missing: set[str]) -> list[str]:
    if missing:
        return [f"fewer tests than at base: {names(missing)}"]
    before, after = ({case.id for case in r.tests} for r in (evidence.base[0], evidence.head))
    if len(after) < len(before):
        return [f"fewer tests than at base ({len(after)} instead of {len(before)}): {names(before - after)}"]
    return []


def names(ids: Iterable[str]) -> str:
    """A few of the ids, and how many more there are."""
    ordered = sorted(ids)
    rest = len(ordered) - NAMES_SHOWN
    return ", ".join(ordered[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def grade(
    evidence: Sequence[Evidence], findings: list[Finding], *, required: Grade, environment_changed: bool
) -> Verdict:
    """Give the verdict. The grade is never better than the weakest thing that was seen."""
    compared = [compare(one) for one in evidence]
    merged = _merge(compared)
    flaky = [
        Finding(code="flaky_test", message=f"not judged, since two runs differ: {i}")
        for i in sorted(merged.flaky)
    ]
    reasons = _reasons(merged, findings, bool(evidence))
    proof = Grade.UNPROVED if reasons else Grade.FIXED if merged.base_red else Grade.REGRESSION_ONLY
    base = [counts(one.base[0]) for one in evidence]
    head = [counts(one.head) for one in evidence]
    return Verdict(
        grade=proof,
        reason="; ".join(reasons) or _good_reason(proof, merged),
        verified=proof.reaches(required),
        findings=[*findings, *flaky],
        now_passing=sorted(merged.now_passing),
        still_failing=sorted(merged.still_failing),
        newly_failing=sorted(merged.newly_failing),
        base_passed=sum(passed for passed, _ in base),
        base_failed=sum(failed for _, failed in base),
        head_passed=sum(passed for passed, _ in head),
        head_failed=sum(failed for _, failed in head),
        environment_changed=environment_changed,
    )


def _merge(compared: Sequence[Comparison]) -> Comparison:
    sets = ("base_red", "now_passing", "still_failing", "newly_failing", "flaky", "needs_network", "missing")
    merged: dict[str, set[str]] = {key: set().union(*(getattr(c, key) for c in compared)) for key in sets}
    return Comparison(
        base_red=merged["base_red"],
        # An id that two checks report counts as fixed only when both say so.
        now_passing=merged["now_passing"] - merged["still_failing"],
        still_failing=merged["still_failing"],
        newly_failing=merged["newly_failing"],
        flaky=merged["flaky"],
        needs_network=merged["needs_network"],
        missing=merged["missing"],
        reasons=[reason for one in compared for reason in one.reasons],
    )


def _reasons(merged: Comparison, findings: list[Finding], any_check: bool) -> list[str]:
    """Why nothing is proved; empty when something is."""
    if not any_check:
        return ["no checks were found or named, so nothing was run"]
    reasons = list(merged.reasons)
    if blocking := sorted({finding.code for finding in findings if finding.blocking}):
        reasons.append(f"findings stand against the report: {', '.join(blocking)}")
    failing = merged.still_failing - merged.needs_network
    if merged.needs_network:
        reasons.append(f"needs network, which checks don't get: {names(merged.needs_network)}")
    if failing:
        partly = f"partly fixed ({names(merged.now_passing)} now pass), " if merged.now_passing else ""
        reasons.append(f"{partly}still failing: {names(failing)}")
    if merged.newly_failing:
        reasons.append(f"newly failing: {names(merged.newly_failing)}")
    if merged.flaky and not merged.base_red and not reasons:
        reasons.append(f"flaky: {names(merged.flaky)}")
    return reasons


def _good_reason(proof: Grade, merged: Comparison) -> str:
    if proof is Grade.FIXED:
        return f"red at base and green at head: {names(merged.now_passing)}; nothing is newly red"
    return "nothing was red at base, and all is still green"
