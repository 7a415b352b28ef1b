"""What a test runner reported, whichever it was. Reports are written by code that an agent may have changed."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument, TooLarge
from hypercode.mcp_protocol.schemas import WORKSPACE

MAX_REPORT = 8 * 1024 * 1024
MAX_CASES = 50_000
MAX_TEXT = 2000
MAX_NAME = 1000

_SEVERITY = (TestOutcome.PASSED, TestOutcome.SKIPPED, TestOutcome.FAILED, TestOutcome.ERROR)


@dataclass(frozen=True)
class Report:
    """The tests as reported; ``outputs`` are the ends of what they printed, by id, where the runner says so."""

    cases: list[TestCase]
    outputs: dict[str, str] = field(default_factory=dict[str, str])


def ending(text: str) -> str:
    """The end of a text, marked when it was cut."""
    text = text.strip()
    return text if len(text) <= MAX_TEXT else "[...]" + text[-MAX_TEXT:]


def relative(path: str) -> str:
    """A path as the tools know it: relative to the workspace where it is in there."""
    return path.removeprefix(WORKSPACE + "/").removeprefix("./")[:MAX_NAME]


def checked_size(text: str) -> str:
    """Return the text; raises TooLarge when it is over the cap."""
    if len(text) > MAX_REPORT:
        raise TooLarge("the test report is over 8 MiB")
    return text


def parse_json(text: str) -> Any:
    """Read JSON; raises InvalidArgument for what is none, or is nested without end."""
    try:
        return json.loads(checked_size(text))
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("the test report is not JSON") from error


def worst(cases: Iterable[TestCase]) -> list[TestCase]:
    """One case for each id, the worst that was reported of it, in the order of their first mention."""
    kept: dict[str, TestCase] = {}
    for case in cases:
        known = kept.get(case.id)
        if known is None or _SEVERITY.index(case.outcome) > _SEVERITY.index(known.outcome):
            kept[case.id] = case
        if len(kept) > MAX_CASES:
            raise TooLarge(f"the test report has more than {MAX_CASES} tests")
    return list(kept.values())


def place_in(text: str, pattern: re.Pattern[str], file: str | None = None) -> tuple[str | None, int | None]:
    """The last place that ``pattern`` (path, line) finds in a text, in ``file`` where one is given."""
    found: tuple[str | None, int | None] = (file, None)
    for match in pattern.finditer(text[-100_000:]):
        path = relative(match[1])
        if file is None or path == file:
            found = (path, int(match[2][:9]))
    return found
