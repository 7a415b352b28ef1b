"""Grading as a table: what base and head report, and what may be said."""

from dataclasses import dataclass, field

import pytest

from hypercode.domain.attestation import Finding, Grade
from hypercode.domain.check import Check, CheckReport, TestCase, TestOutcome
from hypercode.verification.grades import Evidence, grade

CHECK = Check(argv=["pytest"], framework="pytest")
LETTERS = {"P": TestOutcome.PASSED, "F": TestOutcome.FAILED, "E": TestOutcome.ERROR, "S": TestOutcome.SKIPPED}


def report(
    tests: str, *, exit_code: int | None = None, timed_out: bool = False, message: str = ""
) -> CheckReport:
    """``"a=P b=F"`` as a report; a name with ``.py`` alone stands for a file that could not be collected."""
    pairs = [pair.split("=") for pair in tests.split()]
    cases = [
        TestCase(id=n if n.endswith(".py") else f"tests/test_x.py::{n}", outcome=LETTERS[o], message=message)
        for n, o in pairs
    ]
    red = any(o in "FE" for _, o in pairs)
    code = (1 if red else 0) if exit_code is None else exit_code
    return CheckReport(check=CHECK, exit_code=None if timed_out else code, timed_out=timed_out, tests=cases)


@dataclass
class Case:
    base: str
    head: str
    expect: Grade
    reason: str
    original: str | None = None
    again: str | None = None
    findings: list[Finding] = field(default_factory=list)
    required: Grade = Grade.FIXED
    message: str = ""


BLOCKING = Finding(code="report_falsified", message="x", blocking=True)
TOLD = Finding(code="test_file_added", message="x")

CASES = {
    "fixed": Case("a=F b=P", "a=P b=P", Grade.FIXED, "red at base and green at head"),
    "error at base counts as red": Case("a=E b=P", "a=P b=P", Grade.FIXED, ""),
    "new test beside": Case("a=F b=P", "a=P b=P c=P", Grade.FIXED, "", original="a=P b=P", findings=[TOLD]),
    "nothing red": Case("a=P b=P", "a=P b=P", Grade.REGRESSION_ONLY, "nothing was red at base"),
    "still red": Case("a=F b=P", "a=F b=P", Grade.UNPROVED, "still failing: tests/test_x.py::a"),
    "partly": Case("a=F b=F", "a=P b=F", Grade.UNPROVED, "partly fixed (tests/test_x.py::a now pass)"),
    "newly red": Case("a=F b=P", "a=P b=F", Grade.UNPROVED, "newly failing: tests/test_x.py::b"),
    "own new test red": Case("a=F", "a=P c=F", Grade.UNPROVED, "newly failing", original="a=P"),
    "fixed by skipping": Case("a=F b=P", "a=S b=P", Grade.UNPROVED, "still failing"),
    "passing becomes skipped": Case("a=F b=P", "a=P b=S", Grade.UNPROVED, "newly failing"),
    "test gone": Case("a=F b=P", "a=P", Grade.UNPROVED, "fewer tests than at base"),
    "test file edited away": Case("a=F b=P", "a=P", Grade.UNPROVED, "fewer tests", original="a=P b=P"),
    "green only with edited tests": Case("a=F", "a=P", Grade.UNPROVED, "still failing", original="a=F"),
    "renamed test": Case("a=F b=P", "a=P c=P", Grade.FIXED, "", original="a=P b=P"),
    "uncollectable file repaired": Case("tests/test_x.py=E", "a=P b=P", Grade.FIXED, ""),
    "uncollectable file half repaired": Case("tests/test_x.py=E", "a=P b=F", Grade.UNPROVED, "still failing"),
    "uncollectable file gone": Case("tests/test_y.py=E b=P", "b=P", Grade.UNPROVED, "still failing"),
    "flaky at base only": Case("a=F b=P", "a=P b=P", Grade.UNPROVED, "flaky", again="a=P b=P"),
    "flaky beside a fix": Case("a=F b=F", "a=P b=F", Grade.FIXED, "", again="a=F b=P"),
    "flaky at head": Case("a=F", "a=P", Grade.UNPROVED, "flaky at head", original="same:a=F"),
    "blocking finding": Case("a=F", "a=P", Grade.UNPROVED, "findings stand", findings=[BLOCKING]),
    "needs network": Case(
        "a=F b=P", "a=F b=P", Grade.UNPROVED, "needs network", message="gaierror: Name or service not known"
    ),
    "none collected at base": Case("", "a=P", Grade.UNPROVED, "zero tests collected"),
    "none collected at head": Case("a=F", "", Grade.UNPROVED, "zero tests collected"),
    "lower requirement": Case("a=P", "a=P", Grade.REGRESSION_ONLY, "", required=Grade.REGRESSION_ONLY),
}


@pytest.mark.parametrize("name", CASES)
def test_grade(name: str) -> None:
    case = CASES[name]
    base = [report(case.base, message=case.message)]
    if case.again is not None:
        base.append(report(case.again))
    head = report(case.head, message=case.message)
    same = case.original is None or case.original.startswith("same:")
    original = head if case.original is None else report(case.original.removeprefix("same:"))
    evidence = Evidence(base=base, head=head, original=original, same_tests=same)
    verdict = grade([evidence], case.findings, required=case.required, environment_changed=False)
    assert verdict.grade is case.expect, verdict.reason
    assert case.reason in verdict.reason
    assert verdict.verified is (verdict.grade is not Grade.UNPROVED and verdict.grade.reaches(case.required))


def test_timeout_and_kill_prove_nothing() -> None:
    base = report("a=F")
    for head in (report("", timed_out=True), base.model_copy(update={"exit_code": None})):
        evidence = Evidence(base=[base], head=head, original=head, same_tests=True)
        assert grade([evidence], [], required=Grade.FIXED, environment_changed=False).grade is Grade.UNPROVED


def test_a_command_that_fails_beside_green_tests_is_newly_failing() -> None:
    evidence = Evidence(
        base=[report("a=F")], head=report("a=P", exit_code=2), original=report("a=P"), same_tests=False
    )
    verdict = grade([evidence], [], required=Grade.FIXED, environment_changed=False)
    assert verdict.newly_failing == ["command: pytest"]


def test_two_checks_both_count() -> None:
    good = Evidence(base=[report("a=F")], head=report("a=P"), original=report("a=P"), same_tests=True)
    bad = Evidence(base=[report("b=F")], head=report("b=F"), original=report("b=F"), same_tests=True)
    verdict = grade([good, bad], [], required=Grade.FIXED, environment_changed=True)
    assert verdict.grade is Grade.UNPROVED
    assert (verdict.base_failed, verdict.head_passed, verdict.head_failed) == (2, 1, 1)
    assert verdict.environment_changed
