"""A plausible patch as the record that leaves the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List

from .client import Swap, TestCase
from .edits import anchored_edits, unified_diff
from .generate import Candidate
from .validate import Suite


@dataclass
class Patch:
    """A candidate that made tests pass. `complete`: the whole suite has been run with it."""

    candidate: Candidate
    swap: Swap
    score: float
    fixed: List[int]
    found_at: float
    complete: bool = False


def describe(patch: Patch, suite: Suite, tests: List[TestCase]) -> Dict[str, Any]:
    """The patch as JSON: diff, exact edits, the template, a sentence, and what it fixes."""
    candidate = patch.candidate
    path, old, new = candidate.source.path, candidate.original.text, candidate.text
    changes = candidate.changes
    why = "; and ".join(f"line {change.line}: {change.why}" for change in changes)
    still = len(suite.failing) - len(patch.fixed)
    return {
        "path": path,
        "start_line": min(change.line for change in changes),
        "diff": unified_diff(path, old, new),
        "edits": anchored_edits(path, old, new),
        "template": "+".join(change.template for change in changes),
        "score": patch.score,
        "explanation": f"In {path}, {why}.",
        "fixes": [tests[test].id for test in patch.fixed],
        "suite": {
            "passed": len(suite.passing) + len(patch.fixed),
            "failed": still + len(suite.tolerated) + len(suite.alone),
        },
    }
