"""Which lines to change first: Ochiai suspiciousness from per-test coverage.

Abreu, Zoeteweij, van Gemund: "An Evaluation of Similarity Coefficients for Software Fault
Localization" (2006). Only what lines run counts; values and their types are not looked at.
"""

from __future__ import annotations

import math
from typing import Dict, List, Sequence, Set, Tuple

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


def one_cause_each(
    coverage: Dict[int, Set[Place]], failing: Sequence[int], files: Sequence[str]
) -> List[Set[int]]:
    """The failing tests as groups that may have one cause each.

    Tests that all run some line may share a cause. When no line is run by all of them there is more
    than one cause, or some can't be traced: then the tests of each file are a group of their own.
    """
    traced = [coverage[test] for test in failing if coverage.get(test)]
    common = set(traced[0]) if traced else set[Place]()
    for places in traced:
        common &= places
    if common or not traced:
        return [set(failing)]
    groups: Dict[str, Set[int]] = {}
    for test in failing:
        groups.setdefault(files[test], set()).add(test)
    return list(groups.values())


def by_causes(
    coverage: Dict[int, Set[Place]], groups: List[Set[int]], evidence: Evidence
) -> Dict[Place, float]:
    """Each line's best score over the groups; a group's score leaves the other groups' tests out."""
    scores: Dict[Place, float] = {}
    failing = set[int]().union(*groups)
    for group in groups:
        seen = {test: places for test, places in coverage.items() if test in group or test not in failing}
        for place, score in suspiciousness(seen, group, evidence).items():
            scores[place] = max(score, scores.get(place, 0.0))
    return scores


def places_of(lines: Dict[str, List[int]]) -> Set[Place]:
    """Coverage of one test, as sent by the server, as a set of places."""
    return {(path, line) for path, found in lines.items() for line in found}
