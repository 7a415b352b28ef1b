"""Does a candidate hold: the failing tests, then tests near it, then the whole suite."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Dict, List, Set

from .client import Run, Swap, TestServer
from .localise import Place

# Limits of a trial: this many times what the tests took unpatched, plus a start-up allowance.
FIRST_FACTOR, FIRST_EXTRA_S = 4.0, 0.25
SECOND_FACTOR, SECOND_EXTRA_S = 12.0, 2.5


@dataclass
class Suite:
    """What is known about the tests without any patch. Indexes are those of the collection."""

    size: int
    failing: List[int] = field(default_factory=list)
    tolerated: Set[int] = field(default_factory=set)
    passing: List[int] = field(default_factory=list)
    seconds: Dict[int, float] = field(default_factory=dict)
    coverage: Dict[int, Set[Place]] = field(default_factory=dict)

    def duration(self, tests: List[int]) -> float:
        """Seconds that the tests took unpatched."""
        return sum(self.seconds.get(test, 0.0) for test in tests)


@dataclass(frozen=True)
class Verdict:
    """Result of the failing tests under a candidate."""

    fixed: List[int]
    late: bool
    impossible: bool = False


class Validator:
    """Runs tests under swapped code. Counts what it tried."""

    def __init__(self, server: TestServer, suite: Suite) -> None:
        self._server = server
        self._suite = suite

    def try_failing(self, path: str, code: CodeType, tests: List[int], patient: bool) -> Verdict:
        """Run failing tests under new code. `late` means it ran out of time, not that it failed."""
        stop = len(tests) > 12
        run = self._run(path, code, tests, patient, stop_at_failure=stop)
        if not run.swapped:
            return Verdict([], late=False, impossible=True)
        return Verdict(run.passed, run.end == "timeout" and not run.failed)

    def holds(self, path: str, code: CodeType, tests: List[int]) -> bool:
        """True when none of these passing tests fails under the new code."""
        if not tests:
            return True
        return self._run(path, code, tests, True, stop_at_failure=True).clean(len(tests))

    def _run(
        self, path: str, code: CodeType, tests: List[int], patient: bool, stop_at_failure: bool
    ) -> Run:
        seconds = self._suite.duration(tests)
        limit = FIRST_FACTOR * seconds + FIRST_EXTRA_S
        if patient:
            limit = SECOND_FACTOR * seconds + SECOND_EXTRA_S
        swap = Swap(path, code)
        return self._server.run(tests, limit, swap, stop_at_failure=stop_at_failure)

    def near(self, place: Place) -> List[int]:
        """Passing tests whose coverage is known to include the line, quick ones first."""
        tests = [
            test
            for test in self._suite.passing
            if place in self._suite.coverage.get(test, ())
        ]
        return sorted(tests, key=lambda test: self._suite.seconds.get(test, 0.0))
