"""The search: collect, localise, try candidates in order, validate, rank."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from .apart import alone, apart, notes
from .baseline import Baseline, Measurer, select
from .client import Collection, Swap, TestServer
from .compiling import compiled, swap_key
from .evidence import Evidence, gather
from .generate import Candidate, Generator
from .localise import by_causes, one_cause_each
from .rank import score
from .report import Patch, describe
from .second import Seed, best_seeds, second_candidates
from .validate import Validator, Verdict

Write = Callable[[Dict[str, Any]], None]
Trial = Tuple[Candidate, Swap]
PROGRESS_EVERY_S = 0.5
BASELINE_SHARE, BASELINE_AFTER_FAILURE, TRACE_SHARE = 0.45, 0.25, 0.12
VALIDATION_SHARE = 0.2
SINGLE_SHARE = 0.65
# What is kept of the budget for fixes of some of the failing tests, when no edit fixes them all.
PART_SHARE = 0.15
MAX_WEIGHED = 20
MAX_LATE = 20


@dataclass(frozen=True)
class Options:
    """What to repair. `tests` are pytest ids, `paths` globs relative to `root`."""

    root: Path
    tests: List[str]
    paths: List[str]
    budget_s: float
    max_patches: int


@dataclass
class _State:
    tried: int = 0
    total: int = 0
    reported_at: float = 0.0
    seen: Set[Any] = field(default_factory=set[Any])
    seeds: List[Seed] = field(default_factory=list[Seed])
    reached: List[Tuple[Trial, List[int]]] = field(default_factory=list[tuple[Trial, list[int]]])
    leads: List[Tuple[Trial, int]] = field(default_factory=list[tuple[Trial, int]])
    late: List[Trial] = field(default_factory=list[Trial])


class Search:
    """One search for one project. `run` gives the result record."""

    def __init__(self, options: Options, write: Write) -> None:
        self._options = options
        self._write = write
        self._started = time.monotonic()
        self._deadline = self._started + options.budget_s
        self._server = TestServer(options.root)
        self._collection = Collection()
        self._baseline: Baseline = Measurer(self._server, 0, 1.0).result
        self._validator = Validator(self._server, self._baseline.suite, self._deadline)
        self._evidence = Evidence()
        self._state = _State()
        self._patches: List[Patch] = []
        self._until = options.budget_s

    def elapsed(self) -> float:
        """Wall seconds since the search began."""
        return time.monotonic() - self._started

    def close(self) -> None:
        """End the test server."""
        self._server.close()

    def run(self) -> Dict[str, Any]:
        """The whole search; the record of the result."""
        self._progress("collect", "Collecting tests", force=True)
        self._collection = self._server.collect(self._options.budget_s)
        early = self._cannot_start()
        if early is not None:
            return early
        self._measure()
        if not self._baseline.suite.failing:
            return self._nothing_fails()
        if not self._baseline.suite.coverage:
            return self.result("none", "The failing tests could not be traced.")
        self._search()
        if not self._patches:
            self._settle_for_some()
        self._validate()
        return self._finish()

    def _cannot_start(self) -> Optional[Dict[str, Any]]:
        found = self._collection
        if found.problem:
            return self.result("collect_error", f"pytest could not start: {found.problem}")
        if not found.tests and found.errors:
            return self._collect_error()
        if not found.tests:
            words = "No tests were found. Add a test that shows the fault, or connect a model."
            return self.result("no_failing_test", words)
        return None

    def _collect_error(self) -> Dict[str, Any]:
        first = self._collection.errors[0]
        place = f" ({first['at']})" if first["at"] else ""
        words = f"{first['file']} could not be collected{place}: {first['error']}"
        return self.result("collect_error", words)

    def _nothing_fails(self) -> Dict[str, Any]:
        if self._baseline.suite.alone:
            words = "No failing test can be turned green by an edit of the product: each fails by itself."
            return self.result("none", words)
        if self._collection.errors:
            return self._collect_error()
        words = "No test fails. Add a test that shows the fault, or connect a model."
        if self._options.tests:
            words = "None of the named tests fails."
        return self.result("no_failing_test", words)

    def _measure(self) -> None:
        tests, budget = self._collection.tests, self._options.budget_s
        self._progress("localise", f"Running {len(tests)} tests", force=True)
        measurer = Measurer(self._server, len(tests), budget)
        self._baseline = measurer.result
        suite = measurer.result.suite
        self._validator = Validator(self._server, suite, self._deadline)
        wanted = select(tests, self._options.tests) if self._options.tests else []
        if wanted:
            measurer.run(wanted, BASELINE_SHARE * budget, BASELINE_SHARE * budget)
        wanted_failing = list(suite.failing)
        rest = self._small_files_first(set(wanted))
        if not self._options.tests or wanted_failing:
            measurer.run(rest, BASELINE_SHARE * budget, BASELINE_AFTER_FAILURE * budget)
        if self._options.tests:
            suite.tolerated = set(suite.failing) - set(wanted_failing)
            suite.failing = wanted_failing
        suite.alone = alone(self._baseline, tests, self._options.root)
        suite.failing = [test for test in suite.failing if test not in suite.alone]
        if not suite.failing:
            return
        self._server.preload(measurer.result.modules)
        failing = len(suite.failing)
        self._progress("localise", f"{failing} failing; tracing the lines they run", force=True)
        measurer.trace(tests, max(2.0, TRACE_SHARE * budget))
        ids = [tests[test].id for test in suite.failing]
        details = [self._baseline.details[t] for t in suite.failing if t in self._baseline.details]
        self._evidence = gather(self._options.root, ids, details)
        suite.apart = apart(self._baseline, tests)

    def _small_files_first(self, done: Set[int]) -> List[int]:
        """The other tests, file by file: of a long suite at least some of most files is seen."""
        tests = self._collection.tests
        sizes = Counter(test.file for test in tests)
        rest = [index for index in range(len(tests)) if index not in done]
        return sorted(rest, key=lambda index: (sizes[tests[index].file], tests[index].file, index))

    def _search(self) -> None:
        """Single edits, then those that ran out of time, then second edits on partial fixes.

        An edit that fixes all tests which reach it comes before second edits: what else fails
        has another cause, or runs the code in a process of its own.
        """
        suite = self._baseline.suite
        self._validator = Validator(self._server, suite, self._deadline)
        tests = self._collection.tests
        groups = one_cause_each(suite.coverage, suite.failing, [test.file for test in tests])
        scores = by_causes(suite.coverage, groups, self._evidence)
        generator = Generator(self._options.root, self._evidence, self._options.paths)
        candidates = generator.candidates(scores)
        self._progress("search", f"{len(scores)} suspicious lines", force=True)
        left = self._options.budget_s - self.elapsed()
        self._until = self.elapsed() + SINGLE_SHARE * left
        self._try_all(self._fresh(candidates), patient=False)
        late, self._state.late = self._state.late[:MAX_LATE], []
        self._try_all(iter(late), patient=True)
        if not self._patches:
            self._settle_for_reached()
        self._until = self._options.budget_s * (1 - PART_SHARE if self._state.leads else 1)
        if self._patches or self._enough():
            return
        seeds = best_seeds([self._weighed(seed) for seed in best_seeds(self._state.seeds)])
        second = second_candidates(generator, seeds, scores)
        self._try_all(self._fresh(second), patient=False)

    def _weighed(self, seed: Seed) -> Seed:
        """The seed with the passing tests it breaks taken off its gain, while there is time."""
        if self._enough():
            return seed
        swap = compiled(seed.candidate)
        place = (seed.candidate.source.path, seed.candidate.change.line)
        near = self._validator.near(place)[:MAX_WEIGHED]
        broken = self._validator.broken(swap, near) if swap is not None else len(near)
        return Seed(seed.candidate, seed.gain - broken)

    def _try_all(self, trials: Iterator[Trial], patient: bool) -> None:
        while not self._enough():
            batch = list(itertools.islice(trials, 1 if patient else self._validator.batch_size))
            if not batch:
                return
            verdicts = self._validator.try_failing([swap for _, swap in batch], patient)
            self._state.tried += len(batch)
            self._progress("search", f"Tried {self._state.tried} edits")
            for position, trial in enumerate(batch):
                self._judge(trial, verdicts[position], patient)

    def _enough(self) -> bool:
        elapsed = self.elapsed()
        if self._patches_full():
            return True
        reserve = min(VALIDATION_SHARE * self._options.budget_s, self._suite_s() * 1.5)
        if elapsed > min(self._until, self._options.budget_s - reserve):
            return True
        return bool(self._patches) and elapsed > 2.0 * self._patches[0].found_at + 1.0

    def _suite_s(self) -> float:
        return self._baseline.suite.duration(list(self._baseline.suite.seconds))

    def _fresh(self, candidates: Iterator[Candidate]) -> Iterator[Trial]:
        """Candidates that compile, each program once."""
        for candidate in candidates:
            swap = compiled(candidate)
            self._state.total += 1
            if swap is not None and swap_key(swap) not in self._state.seen:
                self._state.seen.add(swap_key(swap))
                yield candidate, swap

    def _judge(self, trial: Trial, verdict: Verdict, patient: bool) -> None:
        candidate = trial[0]
        if verdict.late and not patient:
            self._state.late.append(trial)
        required = self._required(candidate)
        probes = set(self._validator.probes)
        asked = probes & set(required)
        self._note_lead(trial, len(set(verdict.fixed) - self._baseline.suite.apart), len(asked))
        if not verdict.fixed or not asked <= set(verdict.fixed):
            if verdict.fixed and candidate.base is None:
                self._state.seeds.append(Seed(candidate, len(verdict.fixed)))
            return
        failing = list(self._baseline.suite.failing)
        if probes <= set(verdict.fixed) and self._accept(trial, failing):
            return
        if candidate.base is None:
            self._state.seeds.append(Seed(candidate, len(verdict.fixed)))
            if required and len(required) < len(failing):
                self._state.reached.append((trial, required))

    def _note_lead(self, trial: Trial, gain: int, asked: int) -> None:
        """Keep it for the last resort when it fixes half of the failing tests that run what it changes.

        What fixes fewer is more likely to step round the fault. Of second edits only those count
        that gain more than one edit does.
        """
        best = max((known for _, known in self._state.leads), default=0)
        if gain and 2 * gain >= asked and (trial[0].base is None or gain > best):
            self._state.leads.append((trial, gain))

    def _required(self, candidate: Candidate) -> List[int]:
        """Failing tests that run the function which the candidate changes first, and not for another cause."""
        first = candidate
        while first.base is not None:
            first = first.base
        if first.unit is None:
            return list(self._baseline.suite.failing)
        last = first.unit.node.end_lineno or first.unit.first_line
        reached = self._validator.required(first.source.path, first.unit.first_line, last)
        return [test for test in reached if test not in self._baseline.suite.apart]

    def _accept(self, trial: Trial, fixed: List[int], seen: bool = False) -> bool:
        """Keep the candidate when the given failing tests pass (`seen`: they did) and no other breaks."""
        candidate, swap = trial
        suite = self._baseline.suite
        near = self._validator.near((candidate.source.path, candidate.change.line))
        if not self._validator.holds(swap, near if seen else [*fixed, *near]):
            return False
        rest = [test for test in suite.passing if test not in set(near)]
        quick = suite.duration(rest) < 0.1 * self._options.budget_s
        if quick and not self._validator.holds(swap, rest):
            return False
        value = score(candidate, self._evidence)
        self._patches.append(Patch(candidate, swap, value, fixed, self.elapsed(), complete=quick))
        return True

    def _settle_for_reached(self) -> None:
        """With no patch for all failing tests: one for all those that run what it changes."""
        self._settle(sorted(self._state.reached, key=lambda each: each[0][0].priority))

    def _settle_for_some(self) -> None:
        """The last resort: an edit that fixes at least one failing test and breaks none."""
        ranked = sorted(self._state.leads, key=lambda each: (-each[1], each[0][0].priority))
        self._settle([(trial, []) for trial, _ in ranked])

    def _settle(self, ranked: List[Tuple[Trial, List[int]]]) -> None:
        for position, (trial, required) in enumerate(ranked[: 4 * self._options.max_patches]):
            late = self.elapsed() > self._options.budget_s
            if self._patches_full() or (late and (position or self._patches)):
                return
            fixed = self._validator.fixed(trial[1])
            if set(required) <= set(fixed) and set(fixed) - self._baseline.suite.apart:
                self._accept(trial, fixed, seen=True)

    def _patches_full(self) -> bool:
        return len(self._patches) >= self._options.max_patches

    def _validate(self) -> None:
        self._patches.sort(key=lambda patch: (-len(patch.fixed), -patch.score))
        suite = self._baseline.suite
        kept: List[Patch] = []
        for patch in self._patches:
            if not patch.complete:
                self._progress("validate", "Running the whole suite", force=True)
                late = self.elapsed() > self._options.budget_s
                if late and kept:
                    break
                if not self._validator.holds(patch.swap, suite.passing):
                    continue
            kept.append(patch)
        self._patches = kept[: self._options.max_patches]

    def _finish(self) -> Dict[str, Any]:
        if self._patches:
            return self.result("found", self._found_words())
        words = f"None of {self._state.tried} small edits makes the failing tests pass."
        return self.result("none", words)

    def _found_words(self) -> str:
        failing = len(self._baseline.suite.failing)
        fixed = len(self._patches[0].fixed)
        count = len(self._patches)
        edits = "1 small edit makes" if count == 1 else f"{count} small edits make"
        if fixed < failing:
            return (
                f"{edits} some of the {failing} failing tests pass ({fixed} with the best), and no other fail; "
                "the rest may have another cause, or run the code in a process of their own."
            )
        return f"{edits} the failing {'test' if failing == 1 else 'tests'} pass."

    def _unfixed(self) -> List[int]:
        fixed = set(self._patches[0].fixed) if self._patches else set[int]()
        suite = self._baseline.suite
        return [test for test in [*suite.failing, *sorted(suite.alone)] if test not in fixed]

    def result(self, status: str, message: str) -> Dict[str, Any]:
        """The last record. `cpu_s` counts this process and all test processes."""
        suite, tests = self._baseline.suite, self._collection.tests
        self._server.close_process()
        times = os.times()
        cpu = times.user + times.system + times.children_user + times.children_system
        return {
            "type": "result",
            "status": status,
            "failing_tests": [tests[test].id for test in [*suite.failing, *sorted(suite.alone)]],
            "tried": self._state.tried,
            "elapsed_s": round(self.elapsed(), 3),
            "cpu_s": round(cpu, 3),
            "patches": [describe(patch, suite, tests) for patch in self._patches],
            "message": message,
            "notes": notes(self._unfixed(), self._baseline, tests),
        }

    def _progress(self, phase: str, message: str, force: bool = False) -> None:
        now = time.monotonic()
        if force or now - self._state.reported_at >= PROGRESS_EVERY_S:
            self._state.reported_at = now
            tried, total = self._state.tried, self._state.total
            record = {"type": "progress", "phase": phase, "tried": tried, "of": total}
            self._write({**record, "message": message})
