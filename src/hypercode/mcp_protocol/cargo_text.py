"""What ``cargo test`` prints. Its JSON needs an unstable compiler, so this is its text."""

import re

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.reports import MAX_NAME, Report, checked_size, ending, place_in, worst

_TEST = re.compile(r"^test (.{1,900}?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)\b")
_SECTION = re.compile(r"^---- (.{1,900}) stdout ----$")
_PLACE = re.compile(r"panicked at ([^\s:]+\.rs):([0-9]+)")
_RESULT = re.compile(r"^test result: ")
_OUTCOMES = {"ok": TestOutcome.PASSED, "FAILED": TestOutcome.FAILED, "ignored": TestOutcome.SKIPPED}


def parse_cargo(text: str) -> Report:
    """Read the output; raises InvalidArgument when no test was run: it did not compile, or is something else."""
    lines = checked_size(text).splitlines()
    if not any(_RESULT.match(line) or _TEST.match(line) for line in lines):
        raise InvalidArgument("this is no output of cargo test")
    said = _sections(lines)
    cases: list[TestCase] = []
    for line in lines:
        if (found := _TEST.match(line)) is not None:
            cases.append(_case(found[1], _OUTCOMES[found[2]], said.get(found[1], "")))
    return Report(worst(cases), {name: ending(text) for name, text in said.items()})


def _sections(lines: list[str]) -> dict[str, str]:
    """What failed tests printed, by name."""
    said: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in lines:
        if (found := _SECTION.match(line)) is not None:
            current = said.setdefault(found[1], [])
        elif line == "failures:" or _RESULT.match(line):
            current = None
        elif current is not None:
            current.append(line)
    return {name: "\n".join(lines).partition("\nstack backtrace:")[0] for name, lines in said.items()}


def _case(name: str, outcome: TestOutcome, text: str) -> TestCase:
    file, line = place_in(text, _PLACE)
    return TestCase(id=name[:MAX_NAME], outcome=outcome, message=ending(text), file=file, line=line)
