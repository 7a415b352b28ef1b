"""Failing tests that edits of the product may not reach, and what can be said of them."""

from __future__ import annotations

from typing import List, Set

from .baseline import Baseline
from .client import TestCase
from .raised import raised_in_test

MAX_NOTES = 5


def apart(baseline: Baseline, tests: List[TestCase]) -> Set[int]:
    """Failing tests that run no product code (as far as traced), or that raise in their own file."""
    suite = baseline.suite
    return {test for test in suite.failing if note(test, baseline, tests)}


def note(test: int, baseline: Baseline, tests: List[TestCase]) -> str:
    """Why this failing test may have a cause of its own; empty when nothing says so."""
    case, coverage = tests[test], baseline.suite.coverage
    place = raised_in_test(baseline.details.get(test), case.file)
    if place:
        return f"{case.id} raises its error in the test file itself ({place})."
    if test in coverage and not coverage[test]:
        return f"{case.id} runs no line of the project's own code in its process, as far as I saw."
    return ""


def notes(failing: List[int], baseline: Baseline, tests: List[TestCase]) -> List[str]:
    """What is known of these failing tests, a few of them."""
    found = [note(test, baseline, tests) for test in failing]
    return [words for words in found if words][:MAX_NOTES]
