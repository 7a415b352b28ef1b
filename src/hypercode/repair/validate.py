"""Does a candidate hold: the failing tests, then tests near it, then the whole suite."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Dict, List, Set

from .client import Swap, TestServer
from .localise import Place

# CPU limits of a trial: this many times what the tests took unpatched, and a constant on top.
FIRST_FACTOR, FIRST_EXTRA_S = 3.0, 0.08
SECOND_FACTOR, SECOND_EXTRA_S = 12.0, 2.5
MAX_BATCH = 16
# Seconds of testing that one fork should carry; tests that take longer get a fork of their own.
BATCH_S = 0.06
MAX_FAILING_EACH = 12
MAX_PROBES = 4
GRACE_S = 3.0
MAX_KILLERS = 8


@dataclass
class Suite:
    """What is known about the tests without any patch. Indexes are those of the collection.

    `failing` are those to make pass. `alone` fail by themselves, and are not among them; `apart` are,
    and may have another cause: no product line was seen to run, or the test's own file raised.
    """

    size: int
    failing: List[int] = field(default_factory=list[int])
    tolerated: Set[int] = field(default_factory=set[int])
    alone: Set[int] = field(default_factory=set[int])
    apart: Set[int] = field(default_factory=set[int])
    passing: List[int] = field(default_factory=list[int])
    seconds: Dict[int, float] = field(default_factory=dict[int, float])
    coverage: Dict[int, Set[Place]] = field(default_factory=dict[int, set[Place]])

    def duration(self, tests: List[int]) -> float:
        """Seconds that the tests took unpatched."""
        return sum(self.seconds.get(test, 0.0) for test in tests)


@dataclass(frozen=True)
class Verdict:
    """What a candidate did to the failing tests: those it made pass, or why it gave no answer."""

    fixed: List[int] = field(default_factory=list[int])
    late: bool = False
    impossible: bool = False


class Validator:
    """Runs tests under swapped code."""

    def __init__(self, server: TestServer, suite: Suite, deadline: float) -> None:
        """`deadline` by `time.monotonic`: no run of passing tests goes on much longer."""
        self._deadline = deadline
        self._killers: List[int] = []
        self._server = server
        self._suite = suite
        self._canary = min(suite.passing, key=lambda test: suite.seconds.get(test, 1e9), default=None)
        # With many failing tests the quickest ones judge first; `holds` runs them all. What may have
        # another cause judges last, since one test that no edit can turn green would hide the fix.
        self.probes = sorted(
            suite.failing, key=lambda test: (test in suite.apart, suite.seconds.get(test, 0.0))
        )
        if len(self.probes) > MAX_FAILING_EACH:
            self.probes = self.probes[:MAX_PROBES]
        seconds = suite.duration(self.probes)
        self.batch_size = max(1, min(MAX_BATCH, int(BATCH_S / (seconds + 1e-4))))

    def try_failing(self, swaps: List[Swap], patient: bool = False) -> List[Verdict]:
        """Run the probing tests under each of some swaps. One verdict each, in order."""
        verdicts: List[Verdict] = []
        while len(verdicts) < len(swaps):
            verdicts += self._try_some(swaps[len(verdicts) :], patient)
        return verdicts

    def _try_some(self, swaps: List[Swap], patient: bool) -> List[Verdict]:
        suite = self._suite
        factor, extra = (SECOND_FACTOR, SECOND_EXTRA_S) if patient else (FIRST_FACTOR, FIRST_EXTRA_S)
        tests = self.probes
        batch = self._server.batch(
            swaps,
            tests,
            suite.duration(tests) * factor + extra,
            canary=self._canary if len(swaps) > 1 else None,
            stop_at_failure=len(suite.failing) > MAX_FAILING_EACH,
        )
        if batch.spoilt:
            self.batch_size = 1
            return [verdict for swap in swaps for verdict in self._try_some([swap], patient)]
        verdicts = [
            Verdict(impossible=True) if passed is None else Verdict(passed) for passed in batch.passed
        ]
        if len(verdicts) < len(swaps) and batch.end != "done":
            verdicts.append(Verdict(late=batch.end in ("timeout", "stalled")))
        return verdicts

    def holds(self, swap: Swap, tests: List[int]) -> bool:
        """True when every one of these tests passes under the new code, in a child of its own."""
        if not tests:
            return True
        limit = self._within(SECOND_FACTOR * self._suite.duration(tests) + SECOND_EXTRA_S)
        asked = set(tests)
        order = [test for test in self._killers if test in asked]
        order += [test for test in tests if test not in set(order)]
        run = self._server.run(order, limit, swap, stop_at_failure=True, brief=True)
        for test in run.failed:
            # What ended one candidate ends many: ask that test first from now on.
            self._killers = [test, *(each for each in self._killers if each != test)][:MAX_KILLERS]
        return run.clean(len(order))

    def _within(self, seconds: float) -> float:
        return min(seconds, max(GRACE_S, self._deadline - time.monotonic() + GRACE_S))

    def broken(self, swap: Swap, tests: List[int]) -> int:
        """How many of these passing tests fail, or do not end, under the new code."""
        if not tests:
            return 0
        limit = SECOND_FACTOR * self._suite.duration(tests) + FIRST_EXTRA_S * 4
        run = self._server.run(tests, limit, swap, brief=True)
        return len(tests) - len(run.passed)

    def required(self, path: str, first: int, last: int) -> List[int]:
        """Failing tests that are known to run one of these lines.

        The others cannot be judged by a swap: they have another cause, or run the code in a
        process of their own.
        """
        lines = {(path, line) for line in range(first, last + 1)}
        coverage = self._suite.coverage
        return [test for test in self._suite.failing if lines & coverage.get(test, set())]

    def fixed(self, swap: Swap) -> List[int]:
        """The failing tests that pass under the new code."""
        tests = self._suite.failing
        limit = self._within(SECOND_FACTOR * self._suite.duration(tests) + SECOND_EXTRA_S)
        return self._server.run(tests, limit, swap, brief=True).passed

    def near(self, place: Place) -> List[int]:
        """Passing tests whose coverage is known to include the line, quick ones first."""
        tests = [test for test in self._suite.passing if place in self._suite.coverage.get(test, ())]
        return sorted(tests, key=lambda test: self._suite.seconds.get(test, 0.0))
