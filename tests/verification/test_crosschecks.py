"""Three voices of one run must agree: JUnit, terminal summary, exit code."""

import pytest

from hypercode.domain.check import Check
from hypercode.platform_api.types import CheckRan
from hypercode.verification.checks import Session, read_session, read_summary
from hypercode.verification.crosschecks import consistency_findings

CHECK = Check(argv=["pytest"], framework="pytest")
CASE = '<testcase classname="tests.test_a" name="{}" time="0.1">{}</testcase>'
BAD = '<failure message="assert 1 == 2">x</failure>'


def session(stdout: str, tests: dict[str, bool], exit_code: int, *, report: bool = True) -> Session:
    cases = "".join(CASE.format(name, "" if passes else BAD) for name, passes in tests.items())
    xml = f"<testsuites><testsuite>{cases}</testsuite></testsuites>"
    ran = CheckRan(
        exit_code=exit_code, timed_out=False, stdout=stdout, stderr="",
        reports={"junit.xml": xml} if report else {}, tree="t", image_id="i", duration_ms=1.0,
    )  # fmt: skip
    return read_session(CHECK, ran)


CONSISTENT = {
    "green": session("..\n2 passed in 0.01s\n", {"a": True, "b": True}, 0),
    "red": session("=== 1 failed, 1 passed in 0.01s ===\n", {"a": True, "b": False}, 1),
    "threshold missed": session("2 passed in 0.01s\n", {"a": True, "b": True}, 1),
    "no summary": session("", {"a": True}, 0),
    "extra words": session("1 passed, 3 warnings, 2 subtests passed in 1.00s\n", {"a": True, "b": True}, 0),
}
INCONSISTENT = {
    "exit code 0 with failures": session("1 failed in 0.01s\n", {"a": False}, 0),
    "report cleaned": session("1 failed, 1 passed in 0.01s\n", {"a": True, "b": True}, 0),
    "report cleaned, code kept": session("1 failed, 1 passed in 0.01s\n", {"a": True, "b": True}, 1),
    "terminal cleaned": session("2 passed in 0.01s\n", {"a": True, "b": False}, 1),
    "tests invented": session("1 passed in 0.01s\n", {"a": True, "b": True}, 0),
    "no report": session("1 passed in 0.01s\n", {}, 0, report=False),
}


@pytest.mark.parametrize("name", CONSISTENT)
def test_consistent(name: str) -> None:
    assert consistency_findings(CONSISTENT[name]) == []


@pytest.mark.parametrize("name", INCONSISTENT)
def test_inconsistent(name: str) -> None:
    assert [finding.blocking for finding in consistency_findings(INCONSISTENT[name])] == [True]


def test_a_report_that_is_no_xml_counts_as_none() -> None:
    for text in ("", "<a", "<!DOCTYPE x><a/>", "plain"):
        ran = CheckRan(
            exit_code=0, timed_out=False, stdout="", stderr="", reports={"junit.xml": text},
            tree="t", image_id="i", duration_ms=1.0,
        )  # fmt: skip
        assert read_session(CHECK, ran).report.tests == []


def test_summary_is_the_last_one() -> None:
    assert read_summary("9 passed in 1.0s\n1 failed, 2 passed, 1 xfailed in 61.20s (0:01:01)\n") == {
        "failed": 1, "passed": 2, "xfailed": 1,
    }  # fmt: skip
