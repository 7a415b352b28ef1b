"""The events of ``go test -json``, one JSON object a line. An id is ``package::Test/subtest``."""

import json
import re
from collections import defaultdict
from typing import Any, cast

from hypercode.domain.check import TestCase, TestOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.reports import MAX_NAME, Report, checked_size, ending, place_in, worst

_PLACE = re.compile(r"^\s+([^\s:]+\.go):([0-9]+)", re.MULTILINE)
_FRAME = re.compile(r"^(=== |\s*--- )")
_OUTCOMES = {"pass": TestOutcome.PASSED, "fail": TestOutcome.FAILED, "skip": TestOutcome.SKIPPED}
MAX_LINE = 100_000
MAX_KEPT = 20_000


class _Events:
    """What the events say, put together by test."""

    def __init__(self) -> None:
        self.outputs: defaultdict[str, str] = defaultdict(str)
        self.started: dict[str, None] = {}
        self.ended: dict[str, tuple[str, float]] = {}
        self.builds: defaultdict[str, str] = defaultdict(str)
        self.packages: dict[str, tuple[str, str]] = {}

    def take(self, event: dict[str, Any]) -> None:
        action, package = str(event.get("Action")), str(event.get("Package", ""))
        output = str(event.get("Output", ""))
        if action == "build-output":
            build = str(event.get("ImportPath", ""))
            self.builds[build] = (self.builds[build] + output)[-MAX_KEPT:]
            return
        name = f"{package}::{event['Test']}" if event.get("Test") else package
        if action == "output" and not _FRAME.match(output):
            self.outputs[name] = (self.outputs[name] + output)[-MAX_KEPT:]
        elif action == "run":
            self.started[name] = None
        elif action in _OUTCOMES and event.get("Test"):
            elapsed = event.get("Elapsed")
            self.ended[name] = (action, float(elapsed) if isinstance(elapsed, int | float) else 0.0)
        elif action in _OUTCOMES:
            self.packages[package] = (action, str(event.get("FailedBuild", "")))


def parse_go(text: str) -> Report:
    """Read the events, whatever stands between them; raises InvalidArgument when there is none."""
    events = _Events()
    for line in checked_size(text).splitlines():
        if line.startswith("{") and len(line) <= MAX_LINE:
            try:
                event: Any = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                events.take(cast(dict[str, Any], event))
    if not (events.packages or events.started or events.ended or events.builds):
        raise InvalidArgument("this is no output of go test -json")
    cases = [_case(name, events) for name in (events.started | dict.fromkeys(events.ended))]
    cases += _broken_packages(events, cases)
    red = (case.id for case in cases if case.outcome in (TestOutcome.FAILED, TestOutcome.ERROR))
    return Report(worst(cases), {name: ending(events.outputs[name]) for name in red})


def _case(name: str, events: _Events) -> TestCase:
    output = events.outputs[name]
    file, line = place_in(output, _PLACE)
    if name not in events.ended:
        message = ending(f"{output}\nthe test did not end")
        return TestCase(id=name[:MAX_NAME], outcome=TestOutcome.ERROR, message=message, file=file, line=line)
    action, seconds = events.ended[name]
    return TestCase(
        id=name[:MAX_NAME],
        outcome=_OUTCOMES[action],
        duration_s=max(seconds, 0.0),
        message=ending(output) if action == "fail" else "",
        file=file,
        line=line,
    )


def _broken_packages(events: _Events, cases: list[TestCase]) -> list[TestCase]:
    """Packages that failed without a failing test: they did not build, or broke outside a test."""
    red = {case.id.partition("::")[0] for case in cases if case.outcome is not TestOutcome.PASSED}
    return [
        TestCase(
            id=package[:MAX_NAME],
            outcome=TestOutcome.ERROR,
            message=ending(events.builds.get(build, "") or events.outputs[package]),
        )
        for package, (action, build) in events.packages.items()
        if action == "fail" and package not in red
    ]
