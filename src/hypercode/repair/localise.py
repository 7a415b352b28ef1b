"""Which lines to change first: Ochiai suspiciousness from per-test coverage.

Abreu, Zoeteweij, van Gemund: "An Evaluation of Similarity Coefficients for Software Fault
Localization" (2006). Only what lines run counts; values and their types are not looked at.
"""

from __future__ import annotations

import math
from typing import Dict, List, Set, Tuple

from .evidence import Evidence

Place = Tuple[str, int]
CRASH_WEIGHT = 0.35


def suspiciousness(
    coverage: Dict[int, Set[Place]], failing: Set[int], evidence: Evidence
) -> Dict[Place, float]:
    """Score from 0 to about 1.35 for each (path, line) that a failing test runs.

    `coverage` maps a test's index to the places it ran. Lines that an error went through on its
    way up score higher: the one where it was raised most.
    """
    failed: Dict[Place, int] = {}
    passed: Dict[Place, int] = {}
    for test, places in coverage.items():
        counts = failed if test in failing else passed
        for place in places:
            counts[place] = counts.get(place, 0) + 1
    total = sum(1 for test in coverage if test in failing)
    scores: Dict[Place, float] = {}
    for place, hits in failed.items():
        score = hits / math.sqrt(total * (hits + passed.get(place, 0)))
        scores[place] = score + CRASH_WEIGHT * evidence.crashes.get(place, 0.0)
    return scores


def places_of(lines: Dict[str, List[int]]) -> Set[Place]:
    """Coverage of one test, as sent by the server, as a set of places."""
    return {(path, line) for path, found in lines.items() for line in found}
