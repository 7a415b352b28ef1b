"""Second edits: candidates that made some of the failing tests pass, changed once more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Dict, Iterator, List

from .generate import Candidate, Generator
from .localise import Place
from .source import SourceFile

MAX_SEEDS = 8


@dataclass(frozen=True)
class Seed:
    """A candidate with the number of failing tests it fixed, less those it broke."""

    candidate: Candidate
    gain: int


def best_seeds(seeds: List[Seed]) -> List[Seed]:
    """The seeds to go on from: most gained first, then the cheapest; blunt ones are left out."""
    ranked = sorted(seeds, key=lambda seed: (-seed.gain, seed.candidate.priority))
    return ranked[:MAX_SEEDS]


def second_candidates(
    generator: Generator, seeds: List[Seed], scores: Dict[Place, float]
) -> Iterator[Candidate]:
    """Candidates on top of the seeds, of all seeds together, cheapest first."""
    found: List[Candidate] = []
    for position, seed in enumerate(seeds):
        first = seed.candidate
        try:
            source = SourceFile(first.source.path, first.source.absolute, first.text)
        except (SyntaxError, RecursionError, ValueError):
            continue
        lines = shifted_lines(first, scores)
        top = max(lines.values(), default=1.0)
        for second in generator.of_file(source, lines, top):
            priority = second.priority + first.priority + 0.15 * position
            found.append(replace(second, base=first, priority=priority))
    found.sort(key=lambda each: each.priority)
    return iter(found)


def shifted_lines(first: Candidate, scores: Dict[Place, float]) -> Dict[int, float]:
    """The scores of the file's lines, where those lines are after the first change."""
    source, (start, end) = first.source, first.change.span
    low, high = source.line_of(start), source.line_of(end)
    delta = first.text.count("\n") - source.text.count("\n")
    moved: Dict[int, float] = {}
    for (path, line), score in scores.items():
        if path == source.path:
            where = line if line < high else line + delta
            moved[where] = max(moved.get(where, 0.0), score)
    near = max((moved.get(line, 0.0) for line in range(low, high + 1)), default=0.0)
    for line in range(low, high + max(0, delta) + 1):
        moved.setdefault(line, near)
    return moved
