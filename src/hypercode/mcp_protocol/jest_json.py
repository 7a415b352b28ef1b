"""The JSON of jest (``--json``) and vitest (``--reporter=json``), which have one shape."""

import re
from collections.abc import Iterator
from typing import Any, cast

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.reports import MAX_NAME, Report, ending, parse_json, place_in, relative, worst

_PLACE = re.compile(r"([^\s():]+\.[cm]?[jt]sx?):([0-9]+):[0-9]+")
_OUTCOMES = {
    "passed": TestOutcome.PASSED,
    "failed": TestOutcome.FAILED,
    "pending": TestOutcome.SKIPPED,
    "skipped": TestOutcome.SKIPPED,
    "todo": TestOutcome.SKIPPED,
    "disabled": TestOutcome.SKIPPED,
}


def parse_jest(text: str) -> Report:
    """Read a report; raises InvalidArgument for text that is none."""
    files = _object(parse_json(text)).get("testResults")
    if not isinstance(files, list):
        raise InvalidArgument("the test report has no testResults")
    return Report(worst(case for file in cast(list[Any], files) for case in _file(_object(file))))


def _file(result: dict[str, Any]) -> Iterator[TestCase]:
    file = relative(str(result.get("name", "unknown")))
    found = result.get("assertionResults")
    tests = cast(list[Any], found) if isinstance(found, list) else []
    if result.get("status") == "failed" and not tests:
        yield TestCase(
            id=file, outcome=TestOutcome.ERROR, message=ending(str(result.get("message", ""))), file=file
        )
    for test in tests:
        yield _case(_object(test), file)


def _case(test: dict[str, Any], file: str) -> TestCase:
    found = test.get("failureMessages")
    message = "\n".join(map(str, cast(list[Any], found))) if isinstance(found, list) else ""
    duration = test.get("duration")
    return TestCase(
        id=f"{file}::{test.get('fullName') or test.get('title', '')}"[:MAX_NAME],
        # A word that is not known is no success.
        outcome=_OUTCOMES.get(str(test.get("status")), TestOutcome.ERROR),
        duration_s=duration / 1000 if isinstance(duration, int | float) and 0 <= duration < 1e9 else 0.0,
        # The cause stands at the head, the calls below it.
        message=message[:2000],
        file=file,
        line=place_in(message, _PLACE, file)[1],
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidArgument("the test report is not what jest or vitest write")
    return cast(dict[str, Any], value)
