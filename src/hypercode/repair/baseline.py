"""The unpatched suite: which tests fail, how long each takes, which lines the close ones run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List

from .client import TestCase, TestServer
from .localise import places_of
from .validate import Suite

MAX_TRACED_FAILING = 60
MAX_TRACED_HANGING = 2
HANGING_CPU_S = 0.5
MAX_TRACED_PASSING = 150
# A test of which nothing was heard for this share of the budget counts as failed (it hangs).
STALL_SHARE, STALL_MIN_S = 0.12, 1.5


@dataclass
class Baseline:
    """The suite and the details (type, message, frames) of failing tests."""

    suite: Suite
    details: Dict[int, Dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    modules: List[str] = field(default_factory=list[str])
    hanging: List[int] = field(default_factory=list[int])


def select(tests: List[TestCase], wanted: List[str]) -> List[int]:
    """Indexes of the tests that ids name: exactly, or a file, class or function of them."""
    chosen: List[int] = []
    for index, test in enumerate(tests):
        for name in wanted:
            longer = test.id.startswith((f"{name}::", f"{name}["))
            if test.id == name or test.file == name or longer:
                chosen.append(index)
                break
    return chosen


class Measurer:
    """Runs the unpatched tests in as few children as it can, within a share of the budget."""

    def __init__(self, server: TestServer, count: int, budget_s: float) -> None:
        self._server = server
        self._stall_s = max(STALL_MIN_S, budget_s * STALL_SHARE)
        self._budget_s = budget_s
        self.result = Baseline(Suite(count))

    def run(self, order: List[int], wall_s: float, after_failure_s: float) -> None:
        """Run tests once, in order. One that hangs or ends the process counts as failed."""
        left = list(order)
        while left and wall_s > 0:
            run = self._server.run(left, wall_s, after_failure_s=after_failure_s, stall_s=self._stall_s)
            self._note(run.records)
            self.result.modules += run.modules
            left = left[len(run.records) :]
            if run.end in ("timeout", "done") or not left:
                return
            hung = left.pop(0)
            self._fail(hung, {"type": "Hang", "message": "no end", "frames": [], "phase": "call"})
            self.result.hanging.append(hung)
            if run.end == "stalled":
                wall_s -= self._stall_s
                # Once one test hangs others likely do; do not wait as long for them.
                slowest = max(self.result.suite.seconds.values(), default=0.0)
                self._stall_s = min(self._stall_s, max(0.6, 5 * slowest))

    def _note(self, records: List[Dict[str, Any]]) -> None:
        suite = self.result.suite
        for record in records:
            test = record["test"]
            suite.seconds[test] = record["s"]
            if record["outcome"] == "failed":
                self._fail(test, record.get("detail"))
            else:
                suite.passing.append(test)

    def _fail(self, test: int, detail: Any) -> None:
        self.result.suite.failing.append(test)
        if detail is not None:
            self.result.details[test] = detail

    def trace(self, tests: List[TestCase], wall_s: float) -> None:
        """Line coverage of failing tests and of passing ones, those of the same files first."""
        suite = self.result.suite
        # Quick ones first: slow ones that run the code in a process of their own must not use up the time.
        calm = [test for test in suite.failing if test not in self.result.hanging]
        calm.sort(key=lambda test: suite.seconds.get(test, 0.0))
        files = {tests[test].file for test in suite.failing}
        ranked = sorted(
            suite.passing,
            key=lambda test: (tests[test].file not in files, suite.seconds[test] > 0.5, test),
        )
        self._trace(calm[:MAX_TRACED_FAILING], wall_s)
        hanging = self.result.hanging[:MAX_TRACED_HANGING]
        self._trace([test for test in hanging if test in suite.failing], wall_s, HANGING_CPU_S)
        self._trace(ranked[:MAX_TRACED_PASSING], wall_s / 2)

    def _trace(self, order: List[int], wall_s: float, cpu_s: float = 10.0) -> None:
        left = list(order)
        while left:
            stall_s = max(self._stall_s, 6.0)
            run = self._server.run(left, wall_s, trace=True, trace_cpu_s=cpu_s, stall_s=stall_s)
            for record in run.records:
                self.result.suite.coverage[record["test"]] = places_of(record["lines"])
            told = run.records and run.end == "crash" and run.records[-1]["s"] == 0.0
            left = left[len(run.records) + (0 if told else 1) :]
            if run.end == "timeout":
                return
