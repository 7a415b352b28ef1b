"""Canaries look like ordinary tests, go where the check looks, and show lies."""

import subprocess
import sys
from pathlib import Path

import pytest

from hypercode.domain.check import Check, CheckReport, TestCase, TestOutcome
from hypercode.mcp_protocol.junit import parse_junit
from hypercode.verification.canaries import Canary, make_canary, read_canary, without_canary

PYTEST = Check(argv=["python", "-m", "pytest", "-q"], framework="pytest")


def known(*ids: str, red: str | None = None, check: Check = PYTEST) -> CheckReport:
    tests = [TestCase(id=i, outcome=TestOutcome.FAILED if i == red else TestOutcome.PASSED) for i in ids]
    return CheckReport(check=check, exit_code=0, tests=tests)


def run(directory: Path, canary: Canary) -> CheckReport:
    path = directory / canary.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(canary.text)
    xml = directory / "junit.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={xml}"],
        cwd=directory, capture_output=True, check=False,
    )  # fmt: skip
    return CheckReport(check=PYTEST, exit_code=done.returncode, tests=parse_junit(xml.read_text()))


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Canary, CheckReport]:
    canary = make_canary(PYTEST, known("tests/unit/test_a.py::test_b"))
    return canary, run(tmp_path_factory.mktemp("canary"), canary)


def test_an_honest_runner_reports_them_as_they_are(honest: tuple[Canary, CheckReport]) -> None:
    canary, report = honest
    result = read_canary(canary, report)
    assert (result.seen, result.lies) == (True, [])
    rest = without_canary(canary, report)
    assert (rest.tests, rest.exit_code) == ([], 0)


@pytest.mark.parametrize(
    "lie", ["all passed", "all failed", "one left out", "exit code", "no message", "skipped"]
)
def test_each_lie_shows(honest: tuple[Canary, CheckReport], lie: str) -> None:
    canary, report = honest
    first, *rest = report.tests
    outcome = {
        "all passed": TestOutcome.PASSED,
        "all failed": TestOutcome.FAILED,
        "skipped": TestOutcome.SKIPPED,
    }
    changed = {
        "one left out": {"tests": rest},
        "exit code": {"exit_code": 0},
        "no message": {"tests": [case.model_copy(update={"message": ""}) for case in report.tests]},
    }.get(lie) or {"tests": [case.model_copy(update={"outcome": outcome[lie]}) for case in report.tests]}
    assert first is not None
    assert read_canary(canary, report.model_copy(update=changed)).lies


def test_they_stand_beside_the_tests_in_their_style() -> None:
    beside = make_canary(
        PYTEST, known("pkg/a_test.py::test_x", "pkg/b_test.py::test_x", "c/test_a.py::test_x")
    )
    assert beside.path.startswith("pkg/")
    assert beside.path.endswith("_test.py")
    assert beside.extra_argv == []
    at_root = make_canary(PYTEST, known("test_a.py::test_x"))
    assert at_root.path.startswith("test_")


def test_a_check_that_names_its_files_gets_the_path() -> None:
    named = Check(argv=["python", "-m", "pytest", "tests/test_a.py"], framework="pytest")
    canary = make_canary(named, known("tests/test_a.py::test_x", check=named))
    assert canary.extra_argv == [canary.path]


def test_a_test_that_is_left_out_is_no_named_file() -> None:
    argv = ["python", "-m", "pytest", "--deselect", "tests/test_a.py::test_x", "--ignore=tests/test_b.py"]
    check = Check(argv=argv, framework="pytest")
    assert make_canary(check, known("tests/test_a.py::test_y", check=check)).extra_argv == []
    named = Check(argv=[*argv, "tests/test_a.py"], framework="pytest")
    canary = make_canary(named, known("tests/test_a.py::test_y", check=named))
    assert canary.extra_argv == [canary.path]


def test_names_differ_each_time_and_say_nothing_of_us() -> None:
    canaries = [
        make_canary(PYTEST, known("test_a.py::test_add", red="test_a.py::test_add")) for _ in range(20)
    ]
    assert len({canary.path for canary in canaries}) > 15
    assert all("def test_add()" in canary.text for canary in canaries)
    text = "".join(canary.path + canary.text for canary in canaries).lower()
    assert not any(word in text for word in ("canary", "hypercode", "hc_"))


def test_a_path_outside_the_tree_is_never_chosen() -> None:
    for evil in ("../../etc/test_a.py::test_x", "/etc/test_a.py::test_x"):
        assert "/" not in make_canary(PYTEST, known(evil)).path
