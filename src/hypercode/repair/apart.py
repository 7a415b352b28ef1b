"""Failing tests that no edit of the product should be asked to turn green, and what can be said of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Dict, List, Set

from .baseline import Baseline
from .client import TestCase
from .raised import raised_in_test

MAX_NOTES = 5
_ATTRIBUTE = re.compile(r"AttributeError: (?:type object )?'(\w+)'(?: object)? has no attribute")
_MODULE_ATTRIBUTE = re.compile(r"AttributeError: module '([\w.]+)' has no attribute")
_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_NAME = re.compile(r"NameError: name '\w+' is not defined")
_STANDARD: Set[str] = set(getattr(sys, "stdlib_module_names", ()))


def alone(baseline: Baseline, tests: List[TestCase], root: Path) -> Set[int]:
    """Failing tests that fail by themselves: what they lack is the test's, the interpreter's, or not installed.

    An edit that turns such a test green only keeps it from getting to the line that fails.
    """
    details = baseline.details
    failing = baseline.suite.failing
    return {test for test in failing if test in details and _alone(details[test], tests[test], root)}


def _alone(detail: Dict[str, Any], case: TestCase, root: Path) -> bool:
    if detail["type"] == "FixtureLookupError":
        return True
    words = raised_in_test(detail, case.file)
    if _NAME.search(words):
        return True
    if found := _ATTRIBUTE.search(words):
        return found.group(1) in case.id.split("::")[1:]
    if found := _MODULE_ATTRIBUTE.search(words):
        return found.group(1).split(".")[0] in _STANDARD
    if found := _MODULE.search(words):
        top = found.group(1).split(".")[0]
        return not any(place.exists() for place in _homes(root, top))
    return False


def _homes(root: Path, top: str) -> List[Path]:
    return [base / name for base in (root, root / "src") for name in (top, f"{top}.py")]


def apart(baseline: Baseline, tests: List[TestCase]) -> Set[int]:
    """Failing tests that may have another cause than the rest; none when that is all of them."""
    failing = baseline.suite.failing
    found = {test for test in failing if note(test, baseline, tests)}
    return found if len(found) < len(failing) else set[int]()


def note(test: int, baseline: Baseline, tests: List[TestCase]) -> str:
    """Why this failing test may have a cause of its own; empty when nothing says so."""
    case, suite = tests[test], baseline.suite
    place = raised_in_test(baseline.details.get(test), case.file)
    if test in suite.alone:
        why = place or baseline.details[test].get("words", "")
        return f"{case.id} fails by itself, whatever the product does ({why})."
    if place:
        return f"{case.id} raises its error in the test file itself ({place})."
    if test in suite.coverage and not suite.coverage[test]:
        return f"{case.id} runs none of the project's own lines in its own process, as far as I saw."
    return ""


def notes(failing: List[int], baseline: Baseline, tests: List[TestCase]) -> List[str]:
    """What is known of these failing tests, a few of them, those that fail by themselves first."""
    ordered = sorted(failing, key=lambda test: test not in baseline.suite.alone)
    found = [note(test, baseline, tests) for test in ordered]
    return [words for words in found if words][:MAX_NOTES]
