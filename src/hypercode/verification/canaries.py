"""Canaries: tests of our own, run among the project's, whose outcomes are known beforehand.

The report of a check comes from a process that runs the patch. If a canary that must fail is reported as
passed, or one that must pass as failed, the report is false. Names and contents look like ordinary tests
and are chosen anew each time, so that a patch can't tell them apart by name.
"""

import re
import secrets
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from hypercode.domain.check import Check, CheckReport, TestCase, TestOutcome

_FIRST = [
    "rounding",
    "ordering",
    "parsing",
    "boundary",
    "merging",
    "lookup",
    "window",
    "totals",
    "indexing",
    "counting",
    "splitting",
    "padding",
    "sorting",
    "spacing",
    "quoting",
    "escaping",
    "scaling",
    "slicing",
    "casting",
    "joining",
]
_SECOND = [
    "limits",
    "values",
    "edges",
    "inputs",
    "lengths",
    "ranges",
    "defaults",
    "results",
    "numbers",
    "labels",
    "entries",
    "fields",
    "records",
    "keys",
    "pairs",
    "groups",
    "ratios",
    "offsets",
    "blocks",
    "series",
]
_THIRD = [
    "small",
    "large",
    "empty",
    "mixed",
    "nested",
    "repeated",
    "signed",
    "sparse",
    "partial",
    "reverse",
    "plain",
    "wide",
]
# Options of pytest whose value may look like a test file, and is none to run.
_WITH_VALUE = {"--deselect", "--ignore", "--ignore-glob", "-k", "-m", "-p", "-c", "-o", "-W", "--cov-config"}
_FUNCTION = re.compile(r"^[^:]+::(test\w*)$")

_TEMPLATE = """\
import unittest

import pytest


def test_{passing}():
    values = [{a}, {b}, {c}]
    assert sum(values) == {total}


def test_{failing}():
    values = [{a}, {b}, {c}]
    assert max(values) == {total}, "{marker}"


def test_{raising}():
    with pytest.raises(ValueError):
        assert int("{a}") == {a}


class Test{title}(unittest.TestCase):
    def test_{case_passing}(self):
        self.assertEqual({a} + {b}, {ab})

    def test_{case_failing}(self):
        self.assertEqual({a} + {b}, {total}, "{marker}")
"""


class Canary(BaseModel):
    """One file of canaries: where it goes, its text, and what each test in it must report."""

    model_config = ConfigDict(frozen=True)

    path: str
    text: str
    expected: dict[str, bool]
    marker: str
    extra_argv: list[str]

    def holds(self, case: TestCase) -> bool:
        """True for a test of this file."""
        return PurePosixPath(case.id.partition("::")[0]).stem == PurePosixPath(self.path).stem


def make_canary(check: Check, known: CheckReport, taken: Iterable[str] = ()) -> Canary:
    """Make canaries beside the tests of a report, where the check surely looks.

    The plain failing one carries the name of a test that failed at base, where there is one: a patch that
    forces outcomes by a test's name is caught too.
    """
    directory, suffix_style = _neighbourhood(known)
    words = _words(4)
    stems = (
        f"{words[0]}_test" if suffix_style else f"test_{words[0]}" for words in iter(lambda: _words(1), [])
    )
    present = {case.id.partition("::")[0] for case in known.tests}.union(taken)
    stem = next(stem for stem in stems if not any(stem in path for path in present))
    a, b, c = (secrets.randbelow(90) + 10 for _ in range(3))
    failing = _borrowed_name(known) or words[1]
    marker = f"{secrets.choice(_FIRST)} {secrets.randbelow(10**9)}"
    title = words[3].title().replace("_", "")
    text = _TEMPLATE.format(
        passing=words[0], failing=failing, raising=words[2], title=title, marker=marker,
        case_passing=words[3], case_failing=f"{words[3]}_{secrets.choice(_THIRD)}",
        a=a, b=b, c=c, ab=a + b, total=a + b + c,
    )  # fmt: skip
    path = f"{directory}/{stem}.py" if directory else f"{stem}.py"
    names = re.findall(r"def (test_\w+)", text)
    expected = dict(zip(names, (True, False, False, True, False), strict=True))
    extra = [path] if _names_files(check.argv) else []
    return Canary(path=path, text=text, expected=expected, marker=marker, extra_argv=extra)


def _names_files(argv: list[str]) -> bool:
    """True when the command says which files to run, so that it would not find another one."""
    starts = [place for place, word in enumerate(argv) if PurePosixPath(word).name in ("pytest", "py.test")]
    words = argv[starts[0] + 1 :] if starts else argv
    positional = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if not word.startswith("-") and before not in _WITH_VALUE
    ]
    return any(".py" in word for word in positional)


def _neighbourhood(known: CheckReport) -> tuple[str, bool]:
    """The directory with most test files, and whether files there are named ``x_test.py``."""
    paths = [PurePosixPath(case.id.partition("::")[0]) for case in known.tests if "::" in case.id]
    python = [
        path for path in paths if path.suffix == ".py" and not path.is_absolute() and ".." not in path.parts
    ]
    if not python:
        return "", False
    directory = Counter(path.parent for path in python).most_common(1)[0][0]
    stems = [path.stem for path in python if path.parent == directory]
    style = all(stem.endswith("_test") for stem in stems)
    return ("" if str(directory) == "." else str(directory)), style


def _borrowed_name(known: CheckReport) -> str | None:
    names = sorted(match[1] for test_id in known.red_ids if (match := _FUNCTION.match(test_id)))
    return secrets.choice(names).removeprefix("test_") if names and names[0].startswith("test_") else None


def _words(count: int) -> list[str]:
    chosen: set[str] = set()
    while len(chosen) < count:
        chosen.add("_".join((secrets.choice(_FIRST), secrets.choice(_SECOND), secrets.choice(_THIRD))))
    return list(chosen)


class CanaryResult(BaseModel):
    """What the canaries said of a report: seen at all, and the ways in which they were misreported."""

    model_config = ConfigDict(frozen=True)

    seen: bool
    lies: list[str]


def read_canary(canary: Canary, report: CheckReport) -> CanaryResult:
    """Compare what was reported of the canaries with what they must report."""
    cases = {case.id.rpartition("::")[2]: case for case in report.tests if canary.holds(case)}
    if not cases:
        return CanaryResult(seen=False, lies=[])
    lies = [lie for name, passes in canary.expected.items() if (lie := _lie(name, passes, cases.get(name)))]
    if report.exit_code == 0:
        lies.append("the runner ended with exit code 0 although a test failed")
    shown = [case for case in cases.values() if case.outcome is TestOutcome.FAILED]
    if not lies and not any(canary.marker in case.message for case in shown):
        lies.append("a failing test was reported without its own message")
    return CanaryResult(seen=True, lies=lies)


def _lie(name: str, passes: bool, case: TestCase | None) -> str | None:
    if case is None:
        return "a test was left out of the report"
    wanted = TestOutcome.PASSED if passes else TestOutcome.FAILED
    if case.outcome is wanted:
        return None
    return f"a test that must be reported {wanted.value} was reported {case.outcome.value}"


def without_canary(canary: Canary, report: CheckReport) -> CheckReport:
    """The report as it is without the canaries; exit code 1 becomes 0 when nothing else was red."""
    tests = [case for case in report.tests if not canary.holds(case)]
    stripped = report.model_copy(update={"tests": tests, "collected": len(tests)})
    if report.exit_code == 1 and len(tests) != len(report.tests) and not stripped.red_ids:
        return stripped.model_copy(update={"exit_code": 0})
    return stripped
