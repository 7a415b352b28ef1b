"""Node ids come back from the JUnit XML that the real pytest writes."""

import subprocess
import sys
from pathlib import Path

import pytest

from hypercode.domain.check import TestOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.junit import parse_junit

SUITE = {
    "tests/test_calc.py": """
import unittest, pytest

def test_passes(): pass

@pytest.mark.parametrize("x", ["a.b", "c::d", "e/f"])
def test_param(x): assert x != "a.b"

class TestBox:
    class TestInner:
        def test_deep(self): assert 1 == 2, "numbers differ"

class Old(unittest.TestCase):
    def test_old(self): self.assertEqual(1, 1)

@pytest.mark.skip(reason="not now")
def test_skipped(): pass

@pytest.fixture
def broken(): raise RuntimeError("no fixture")

def test_setup(broken): pass

@pytest.fixture
def leaves():
    yield
    raise RuntimeError("teardown")

def test_fails_twice(leaves): assert False
""",
    "pkg/tests/unit/math_test.py": "class TestX:\n    def test_y(self): pass\n",
    "tests/test_broken.py": "import does_not_exist\n",
}


@pytest.fixture(scope="module", params=["xunit2", "xunit1"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, set[str]]:
    root: Path = tmp_path_factory.mktemp("suite")
    for name, text in SUITE.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-o",
        f"junit_family={request.param}",
    ]
    argv += ["--junit-xml=report.xml", "--continue-on-collection-errors", "-W", "ignore"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    lines = [
        line.split(" ", 1)[1].split(" - ")[0]
        for line in done.stdout.splitlines()
        if line.startswith(("PASSED ", "FAILED ", "ERROR "))
    ]
    return (root / "report.xml").read_text(), set(lines)


def test_ids_are_pytests_own(run: tuple[str, set[str]]) -> None:
    xml, node_ids = run
    cases = {case.id: case for case in parse_junit(xml)}
    assert node_ids <= set(cases)
    assert set(cases) - node_ids == {"tests/test_calc.py::test_skipped"}
    outcomes = {test_id.removeprefix("tests/test_calc.py::"): case.outcome for test_id, case in cases.items()}
    assert outcomes["test_param[a.b]"] is TestOutcome.FAILED
    assert outcomes["test_param[c::d]"] is TestOutcome.PASSED
    assert outcomes["Old::test_old"] is TestOutcome.PASSED
    assert outcomes["test_setup"] is TestOutcome.ERROR
    assert outcomes["test_fails_twice"] is TestOutcome.ERROR
    assert outcomes["test_skipped"] is TestOutcome.SKIPPED
    assert outcomes["tests/test_broken.py"] is TestOutcome.ERROR
    deep = cases["tests/test_calc.py::TestBox::TestInner::test_deep"]
    assert "numbers differ" in deep.message
    assert (deep.file, deep.line) == ("tests/test_calc.py", 11)


def test_what_is_no_report_or_attacks_the_parser_is_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite>&b;</testsuite>'
    for text in ("", "<testsuite>", "passed", bomb):
        with pytest.raises(InvalidArgument):
            parse_junit(text)
    assert parse_junit("<testsuites><testsuite/></testsuites>") == []
    odd = parse_junit(
        '<testsuite><testcase time="NaNa" line="x"/><testcase name="t" classname="..."/></testsuite>'
    )
    assert len(odd) == 2
