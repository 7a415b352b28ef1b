"""Which of several plausible patches to show first: small, general, and deleting nothing."""

from __future__ import annotations

import ast
from typing import List, Set

from .evidence import Evidence
from .generate import Candidate

# Templates that make a test pass by doing less: right now and then, wrong more often.
_BLUNT = {
    "condition-fixed": 1.2,
    "statement-deleted": 0.7,
    "call-dropped": 0.5,
    "guard": 0.5,
    "other-constant": 0.5,
    "other-result": 0.4,
    "condition-dropped": 0.4,
    "jump-added": 0.3,
}


def score(candidate: Candidate, evidence: Evidence) -> float:
    """Between 0 and 1; higher is better.

    Taken off: the candidate's priority (cost and distance), calls that are gone, constants that
    only the failing tests know (a patch that repeats the expected value), and blunt templates.
    """
    before, after = candidate.original.text, candidate.text
    changes = candidate.changes
    penalty = candidate.priority + sum(_BLUNT.get(each.template, 0.0) for each in changes)
    penalty += 1.0 * (len(changes) - 1)
    penalty += 0.6 * max(0, len(_calls(before)) - len(_calls(after)))
    penalty += 0.8 * len(_constants(after) - _constants(before) & set(evidence.literals))
    return round(1.0 / (1.0 + 0.25 * penalty), 4)


def _calls(text: str) -> List[str]:
    return [ast.dump(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


def _constants(text: str) -> Set[str]:
    nodes = ast.walk(ast.parse(text))
    found = {repr(node.value) for node in nodes if isinstance(node, ast.Constant)}
    return found - {"0", "1", "-1", "None", "True", "False", "''"}
