"""The test frameworks that test_run knows: how each is called, and where and in what form it reports."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hypercode.mcp_protocol.cargo_text import parse_cargo
from hypercode.mcp_protocol.go_json import parse_go
from hypercode.mcp_protocol.jest_json import parse_jest
from hypercode.mcp_protocol.junit import PYTEST, REPORT_DIRECTORY, REPORT_OPTION, REPORT_PATH
from hypercode.mcp_protocol.junit_any import parse_junit_any, parse_pytest
from hypercode.mcp_protocol.reports import Report
from hypercode.mcp_protocol.unittest_text import parse_unittest

Name = Literal["pytest", "unittest", "jest", "vitest", "mocha", "go", "cargo", "maven", "gradle"]
Source = Literal["file", "stdout", "stderr", "junit files"]

JSON_PATH = f"{REPORT_DIRECTORY}/report.json"
COVERAGE_DATA = f"{REPORT_DIRECTORY}/coverage.data"
COVERAGE_FOLDER = f"{REPORT_DIRECTORY}/coverage"
COVERAGE_PY = ("-m", "coverage", "run", f"--data-file={COVERAGE_DATA}")
PYTEST_OUTPUT = ("-o", "junit_logging=system-out", "-o", "junit_log_passing_tests=false")
BIN = "node_modules/.bin"


@dataclass(frozen=True)
class Framework:
    """``argv`` gives the command for targets; ``rerun`` the targets that run these tests alone, None: it can't."""

    name: Name
    argv: Callable[[list[str]], list[str]]
    source: Source
    parse: Callable[[str], Report]
    path: str = REPORT_PATH
    coverage: Callable[[list[str]], list[str]] | None = None
    rerun: Callable[[list[str]], list[str] | None] = lambda ids: None


def _pytest(targets: list[str]) -> list[str]:
    return [*PYTEST, REPORT_OPTION, *PYTEST_OUTPUT, *targets]


def _unittest(targets: list[str]) -> list[str]:
    return ["python", "-m", "unittest", *(["-v", *targets] if targets else ["discover", "-v"])]


def _python_coverage(argv: list[str]) -> list[str]:
    return [argv[0], *COVERAGE_PY, *argv[1:]]


def _jest(targets: list[str]) -> list[str]:
    return [f"{BIN}/jest", "--ci", "--json", f"--outputFile={JSON_PATH}", *_files_and_names(targets)]


def _jest_coverage(argv: list[str]) -> list[str]:
    wanted = ("--coverage", "--coverageReporters=json-summary", f"--coverageDirectory={COVERAGE_FOLDER}")
    return [argv[0], *wanted, *argv[1:]]


def _vitest(targets: list[str]) -> list[str]:
    how = ("--reporter=json", f"--outputFile={JSON_PATH}")
    return [f"{BIN}/vitest", "run", *how, *_files_and_names(targets)]


def _vitest_coverage(argv: list[str]) -> list[str]:
    wanted = (
        "--coverage.enabled=true",
        "--coverage.reporter=json-summary",
        f"--coverage.reportsDirectory={COVERAGE_FOLDER}",
    )
    return [*argv[:2], *wanted, *argv[2:]]


def _files_and_names(targets: list[str]) -> list[str]:
    """Of ids, ``file::full name``: the files, and one pattern of the names."""
    split = [target.partition("::") for target in targets]
    names = [re.escape(name) for _, _, name in split if name]
    pattern = [f"--testNamePattern=^({'|'.join(names)})$"] if names else []
    return [*pattern, *dict.fromkeys(file for file, _, _ in split)]


def _mocha(targets: list[str]) -> list[str]:
    how = ("--reporter", "xunit", "--reporter-option", f"output={REPORT_PATH}")
    return [f"{BIN}/mocha", *how, *targets]


def _go(targets: list[str]) -> list[str]:
    """Targets are packages, tests (``TestX``), or ids (``package::TestX``)."""
    packages: list[str] = []
    tests: list[str] = []
    for target in targets:
        package, _, test = target.rpartition("::")
        if package or "/" in target or target == ".":
            packages.append(package or target)
            test = test if package else ""
        if test:
            tests.append(re.escape(test.partition("/")[0]))
    only = ["-run", f"^({'|'.join(dict.fromkeys(tests))})$"] if tests else []
    return ["go", "test", "-json", *only, *(dict.fromkeys(packages) or ["./..."])]


def _go_coverage(argv: list[str]) -> list[str]:
    return [*argv[:3], f"-coverprofile={COVERAGE_DATA}", *argv[3:]]


def _cargo(targets: list[str]) -> list[str]:
    """Targets are (parts of) names."""
    return ["cargo", "test", "--offline", "--no-fail-fast", "--", *targets]


def _maven(targets: list[str]) -> list[str]:
    return ["mvn", "-B", "-o", "test", *([f"-Dtest={','.join(targets)}"] if targets else [])]


def _gradle(targets: list[str]) -> list[str]:
    return ["gradle", "--offline", "test", *(word for target in targets for word in ("--tests", target))]


def _as_they_are(ids: list[str]) -> list[str] | None:
    return ids


FRAMEWORKS: dict[str, Framework] = {
    each.name: each
    for each in (
        Framework("pytest", _pytest, "file", parse_pytest, coverage=_python_coverage, rerun=_as_they_are),
        Framework(
            "unittest",
            _unittest,
            "stderr",
            parse_unittest,
            coverage=_python_coverage,
            # A subtest runs with its test.
            rerun=lambda ids: list(dict.fromkeys(name.partition(" ")[0] for name in ids)),
        ),
        Framework("jest", _jest, "file", parse_jest, JSON_PATH, coverage=_jest_coverage, rerun=_as_they_are),
        Framework(
            "vitest", _vitest, "file", parse_jest, JSON_PATH, coverage=_vitest_coverage, rerun=_as_they_are
        ),
        Framework("mocha", _mocha, "file", parse_junit_any),
        Framework("go", _go, "stdout", parse_go, coverage=_go_coverage, rerun=_as_they_are),
        Framework("cargo", _cargo, "stdout", parse_cargo, rerun=_as_they_are),
        Framework("maven", _maven, "junit files", parse_junit_any),
        Framework("gradle", _gradle, "junit files", parse_junit_any),
    )
}
"""By name; the order is that of preference where a project has several."""


def of_command(argv: list[str]) -> Framework | None:
    """The framework that a command calls, where its report can be asked for or read as it is."""
    program = [word.rpartition("/")[2] for word in argv[:3]]
    if "pytest" in program or "py.test" in program:
        return FRAMEWORKS["pytest"]
    if program[:2] == ["cargo", "test"]:
        return FRAMEWORKS["cargo"]
    if program[:2] == ["go", "test"] and "-json" in argv:
        return FRAMEWORKS["go"]
    return None
