"""How much of a project's lines its tests ran, from the summaries that coverage.py, Istanbul and go write."""

import json
from typing import Any, cast

REASONS = {
    "python": "coverage.py is not in the project's environment",
    "vitest": "@vitest/coverage-v8 is not in the project's environment",
    "other": "this framework is run without coverage here",
    "unread": "the run left no coverage that could be read",
}


def lines_pct(text: str) -> float | None:
    """The percentage in a coverage file of any of the three kinds, None for anything else."""
    if text.startswith("mode: "):
        return _go(text)
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    totals = _member(found, "totals") or _member(_member(found, "total"), "lines")
    for key in ("percent_covered", "pct"):
        value = totals.get(key) if totals else None
        if isinstance(value, int | float) and 0 <= value <= 100:
            return round(float(value), 2)
    return None


def _member(value: Any, key: str) -> dict[str, Any] | None:
    found = cast(dict[str, Any], value).get(key) if isinstance(value, dict) else None
    return cast(dict[str, Any], found) if isinstance(found, dict) else None


def _go(profile: str) -> float | None:
    """Go counts statements; its lines are ``file:from,to statements count``."""
    every = covered = 0
    for line in profile.splitlines()[1:]:
        fields = line.split()
        if len(fields) != 3 or not (fields[1].isdigit() and fields[2].isdigit()) or len(line) > 2000:
            return None
        every += int(fields[1])
        covered += int(fields[1]) if int(fields[2]) else 0
    return round(100 * covered / every, 2) if every else None
