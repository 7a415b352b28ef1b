"""Reports as the real tools wrote them, and reports as an agent might write them.

The files in tests/fixtures/reports are real outputs, with the paths of the machine replaced by /workspace:
jest 29 ``--ci --json --coverage``, vitest 3 ``--reporter=json`` and ``--reporter=junit``, mocha 11 ``--reporter
xunit``, node 20 ``--test --test-reporter=junit``, go 1.27 ``test -json -cover ./...``, cargo 1.9x ``test
--no-fail-fast``, and Python 3.11 ``-m unittest discover -v``; each over a handful of tests that pass, fail, break,
are skipped and can't be loaded.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hypercode.domain.check import TestOutcome
from hypercode.domain.errors import InvalidArgument, TooLarge
from hypercode.mcp_protocol.cargo_text import parse_cargo
from hypercode.mcp_protocol.go_json import parse_go
from hypercode.mcp_protocol.jest_json import parse_jest
from hypercode.mcp_protocol.junit_any import parse_junit_any, parse_pytest
from hypercode.mcp_protocol.reports import MAX_REPORT, Report
from hypercode.mcp_protocol.unittest_text import parse_unittest

FIXTURES = Path(__file__).parents[1] / "fixtures" / "reports"
PASSED, FAILED, ERROR, SKIPPED = (
    TestOutcome.PASSED,
    TestOutcome.FAILED,
    TestOutcome.ERROR,
    TestOutcome.SKIPPED,
)
PARSERS: list[Callable[[str], Report]] = [
    parse_cargo,
    parse_go,
    parse_jest,
    parse_junit_any,
    parse_pytest,
    parse_unittest,
]


def read(name: str) -> str:
    return (FIXTURES / name).read_text()


def outcomes(report: Report) -> dict[str, TestOutcome]:
    return {case.id: case.outcome for case in report.cases}


def case(report: Report, name: str) -> tuple[str | None, int | None, str]:
    (found,) = [case for case in report.cases if case.id == name]
    return found.file, found.line, found.message


def test_jest() -> None:
    report = parse_jest(read("jest.json"))
    assert outcomes(report) == {
        "sum.test.js::sum adds": FAILED,
        "sum.test.js::sum zero": PASSED,
        "sum.test.js::sum later": SKIPPED,
        "sum.test.js::sum negative": SKIPPED,
        "broken.test.js": ERROR,
    }
    file, line, message = case(report, "sum.test.js::sum adds")
    assert (file, line) == ("sum.test.js", 3)
    assert "Expected: 3\nReceived: -1" in message
    assert "Cannot find module './nowhere'" in case(report, "broken.test.js")[2]


def test_vitest() -> None:
    report = parse_jest(read("vitest.json"))
    assert outcomes(report) == {
        "broken.test.ts": ERROR,
        "sum.test.ts::sum adds": FAILED,
        "sum.test.ts::sum zero": PASSED,
        "sum.test.ts::sum later": SKIPPED,
    }
    assert case(report, "sum.test.ts::sum adds")[:2] == ("sum.test.ts", 3)


def test_go() -> None:
    report = parse_go(read("go.jsonl"))
    package = "example.org/calc"
    assert outcomes(report) == {
        f"{package}::TestAdd": FAILED,
        f"{package}::TestZero": PASSED,
        f"{package}::TestLater": SKIPPED,
        f"{package}::TestTable": FAILED,
        f"{package}::TestTable/one": PASSED,
        f"{package}::TestTable/two_words": FAILED,
        f"{package}/pan::TestPanic": FAILED,
        f"{package}/sub": ERROR,
    }
    assert case(report, f"{package}::TestAdd")[:2] == ("calc_test.go", 8)
    assert "Add(1, 2) = -1" in case(report, f"{package}::TestAdd")[2]
    assert "adding" in report.outputs[f"{package}::TestAdd"]
    assert "nil map" in case(report, f"{package}/pan::TestPanic")[2]
    assert "cannot use" in case(report, f"{package}/sub")[2]
    # Killed in the middle: what began and did not end is no success.
    cut = read("go.jsonl").split('"Action":"pass"')[0].rpartition("\n")[0]
    assert outcomes(parse_go(cut))[f"{package}::TestZero"] is ERROR


def test_cargo() -> None:
    report = parse_cargo(read("cargo.txt"))
    assert outcomes(report) == {
        "tests::later": SKIPPED,
        "tests::panics": PASSED,
        "tests::adds": FAILED,
        "tests::result": FAILED,
        "tests::zero": PASSED,
        "from_outside": PASSED,
        "src/lib.rs - add (line 2)": PASSED,
    }
    file, line, message = case(report, "tests::adds")
    assert (file, line) == ("src/lib.rs", 11)
    assert "left: -1" in message
    assert "backtrace" not in message
    assert report.outputs["tests::adds"].startswith("adding")
    with pytest.raises(InvalidArgument):
        parse_cargo("error[E0308]: mismatched types")


def test_unittest() -> None:
    report = parse_unittest(read("unittest.txt"))
    assert outcomes(report) == {
        "unittest.loader._FailedTest.test_broken": ERROR,
        "test_calc.Calc.test_adds": FAILED,
        "test_calc.Calc.test_breaks": ERROR,
        "test_calc.Calc.test_known": PASSED,
        "test_calc.Calc.test_later": SKIPPED,
        "test_calc.Calc.test_parts (n=2)": FAILED,
        "test_calc.Calc.test_surprise": FAILED,
        "test_calc.Calc.test_zero": PASSED,
    }
    assert case(report, "test_calc.Calc.test_adds")[:2] == ("test_calc.py", 7)
    assert "AssertionError: -1 != 3" in case(report, "test_calc.Calc.test_adds")[2]
    assert "nowhere_at_all" in case(report, "unittest.loader._FailedTest.test_broken")[2]
    killed = "test_a (m.C.test_a) ... ok\ntest_b (m.C.test_b) ... "
    assert outcomes(parse_unittest(killed)) == {"m.C.test_a": PASSED, "m.C.test_b": ERROR}
    older = "test_a (m.C) ... some words on stderr\nok\n\n" + "-" * 70 + "\nRan 1 test in 0.1s\n\nOK\n"
    assert outcomes(parse_unittest(older)) == {"m.C.test_a": PASSED}


def test_junit_of_others() -> None:
    report = parse_junit_any(read("vitest-junit.xml"))
    assert outcomes(report) == {
        "broken.test.ts": FAILED,
        "sum.test.ts::sum > adds": FAILED,
        "sum.test.ts::sum > zero": PASSED,
        "sum.test.ts::sum > later": SKIPPED,
    }
    assert report.outputs == {"sum.test.ts::sum > adds": "adding"}
    assert case(report, "sum.test.ts::sum > adds")[0] == "sum.test.ts"
    assert outcomes(parse_junit_any(read("node-junit.xml"))) == {
        "test::adds": FAILED,
        "test::zero": PASSED,
        "test::later": SKIPPED,
    }
    mocha = parse_junit_any(read("mocha-xunit.xml"))
    assert outcomes(mocha) == {"sum::adds": FAILED, "sum::zero": PASSED, "sum::later": SKIPPED}
    assert case(mocha, "sum::adds")[0] == "test/a.js"


def test_pytest_with_what_tests_printed() -> None:
    xml = (
        '<testsuites><testsuite><testcase classname="tests.test_a.TestX" name="test_b" time="x">'
        '<failure message="no">tests/test_a.py:7: no</failure><system-out>printed</system-out></testcase>'
        '<testcase classname="tests.test_c" name="test_b"/></testsuite></testsuites>'
    )
    report = parse_pytest(xml)
    assert outcomes(report) == {"tests/test_a.py::TestX::test_b": FAILED, "tests/test_c.py::test_b": PASSED}
    assert report.outputs == {"tests/test_a.py::TestX::test_b": "printed"}


def read_or_refused(parse: Callable[[str], Report], text: str) -> Report:
    """Any other exception than a refusal goes through and fails the test."""
    try:
        return parse(text)
    except (InvalidArgument, TooLarge):
        return Report([])


HOSTILE = [
    "",
    "\0",
    "null",
    "[]",
    "{}",
    '"testResults"',
    '{"testResults": {}}',
    '{"testResults": [1]}',
    '{"testResults": [{"assertionResults": [[]]}]}',
    '{"testResults": [{"assertionResults": 7, "status": "failed", "name": {"a": 1}}]}',
    '{"testResults": [{"assertionResults": [{"duration": 1e999, "status": ["passed"]}]}]}',
    "[" * 100_000,
    '{"a":' * 100_000,
    '{"Action":"run","Test":{"deep":[]},"Package":7}\n{"Action":"fail","Elapsed":"NaN","Test":[1]}',
    '{"Action":"output","Output":' + "[" * 90_000 + "}",
    "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    "<testsuites>" + "<a>" * 50_000,
    "<a>" * 50_000 + "</a>" * 50_000,
    '<testsuite><testcase name="a" line="٣" time="nan"/><testcase time="-inf"/></testsuite>',
    "test " + "a" * 100_000 + " ... ok",
    "---- x stdout ----\n" * 1000,
    "panicked at a.rs:" + "9" * 5000 + "\ntest a ... FAILED",
    "=" * 70 + "\nFAIL: " + "(" * 1000 + "\n" + 'File "x", line ' + "9" * 5000,
    "test_a (m.C.test_a) ... " * 2000,
    "\ud800",
]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
def test_hostile_reports_are_refused_or_small(parse: Callable[[str], Report]) -> None:
    for text in HOSTILE:
        report = read_or_refused(parse, text)
        assert len(json.dumps([each.model_dump(mode="json") for each in report.cases])) < 100_000
        assert PASSED not in outcomes(report).values() or "ok" in text or "<testcase" in text
    with pytest.raises(TooLarge):
        parse("x" * (MAX_REPORT + 1))


def test_lies_do_not_grow_and_the_worse_word_stands() -> None:
    twice = "test a ... ok\ntest a ... FAILED\ntest a ... ok\ntest result: ok"
    assert outcomes(parse_cargo(twice)) == {"a": FAILED}
    unknown = '{"testResults": [{"name": "/workspace/a.js", "assertionResults": [{"status": "great", "title": "t"}]}]}'
    assert outcomes(parse_jest(unknown)) == {"a.js::t": ERROR}
    with pytest.raises(TooLarge):
        parse_cargo("\n".join(f"test {number} ... ok" for number in range(50_002)))
    long = (
        '<testsuite><testcase name="a"><failure message="m">'
        + "x" * 100_000
        + "</failure></testcase></testsuite>"
    )
    assert len(parse_junit_any(long).cases[0].message) < 2100
