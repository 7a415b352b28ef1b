"""The table of what a run is promised, written by the tests that show it.

A test names its promises: ``@pytest.mark.promise(3, 11)``. `make chaos` runs all of those, and nothing else writes
docs/reference/promises.md: a row holds when every test of it that ran has passed. What a test has counted it hands
over by ``record_property``: ``kills`` by what was killed, ``recovered_s`` as lists of seconds, ``counted`` in words.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

PROMISES = {
    1: ("kill -9 of a worker between any two steps", "no finished step repeats"),
    2: ("kill -9 in a model call", "only that call again, and the budget counts it"),
    3: ("kill -9 of the worker or the tools process in a tool call", "effect once, or `uncertain`; never silent"),
    4: ("a worker is gone for good", "another goes on in under 30 s"),
    5: ("a worker that was taken for dead wakes up", "it is fenced"),
    6: ("a word or an approval while all workers are down", "kept"),
    7: ("cancel in a model call, in a shell command, in the queue", "stopped within 1 s"),
    8: ("an approval that waits over restarts", "goes on"),
    9: ("fork and rewind", "isolated, and the files as they were"),
    10: ("viewers over two gateways, and ways that break", "each event once, in order"),
    11: ("Postgres, Redis and the Docker engine killed, a sandbox's first process killed",
         "runs go on or fail with the reason; nothing lost"),
    12: ("embedded mode", "the same on one machine"),
}  # fmt: skip
BEFORE = """# What a run is promised, and what killed it in vain

`make chaos` writes this page from its own run: {when}, {cores} cores, load {load} at the end. Every test named here really
kills processes; nothing is simulated but the model, which speaks the wire format.

"""


@dataclass
class Shown:
    """What the tests of one session showed."""

    outcomes: dict[int, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    kills: list[tuple[str, Mapping[str, list[float]]]] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)

    def enter(self, report: pytest.TestReport, promises: Iterable[int]) -> None:
        for promise in promises:
            self.outcomes[promise].append((report.nodeid.partition("[")[0], report.outcome))
        for name, value in report.user_properties:
            if name == "recovered_s":
                self.kills.append((report.nodeid, value))
            if name == "counted":
                self.counted.append(str(value))

    def page(self) -> str:
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        before = BEFORE.format(when=when, cores=os.cpu_count(), load=f"{os.getloadavg()[0]:.1f}")
        return before + "\n".join([*self._promises(), *self._kills(), *self._counted(), ""])

    def _promises(self) -> list[str]:
        rows = ["| # | What happens | Promise | Held | Tests |", "|---|---|---|---|---|"]
        for number, (what, promise) in PROMISES.items():
            tests = self.outcomes[number]
            held = "not run" if not tests else f"{sum(o == 'passed' for _, o in tests)} of {len(tests)}"
            names = sorted({name for name, _ in tests})
            rows.append(f"| {number} | {what} | {promise} | {held} | {', '.join(f'`{n}`' for n in names)} |")
        return rows

    def _kills(self) -> list[str]:
        rows = [
            "",
            "| Killed at random moments | Kills | At work again, median | p95 | Longest |",
            "|---|---|---|---|---|",
        ]
        seconds = [(what, sorted(times)) for _, by in self.kills for what, times in sorted(by.items())]
        everything = sorted(each for _, times in seconds for each in times)
        for what, times in [*seconds, ("all", everything)]:
            if times:
                p95 = times[min(len(times) - 1, int(len(times) * 0.95))]
                middle = times[len(times) // 2]
                rows.append(f"| {what} | {len(times)} | {middle:.1f} s | {p95:.1f} s | {times[-1]:.1f} s |")
        return rows if everything else []

    def _counted(self) -> list[str]:
        return ["", *(f"- {words}" for words in self.counted)] if self.counted else []


SHOWN = pytest.StashKey[Shown]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SHOWN] = Shown()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report: pytest.TestReport = yield
    marker = item.get_closest_marker("promise")
    if marker is not None and (report.when == "call" or report.failed):
        item.config.stash[SHOWN].enter(report, marker.args)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = os.environ.get("HYPERCODE_PROMISES")
    if path and session.config.stash[SHOWN].outcomes:
        Path(path).write_text(session.config.stash[SHOWN].page())
