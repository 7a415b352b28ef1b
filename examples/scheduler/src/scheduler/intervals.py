"""Spans of time in minutes since midnight."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Interval:
    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("an interval ends after it starts")

    @property
    def length(self) -> int:
        return self.end - self.start

    def overlaps(self, other: Interval) -> bool:
        return self.start < other.end and other.start < self.end

    def contains(self, minute: int) -> bool:
        return self.start <= minute < self.end


def merged(intervals: list[Interval]) -> list[Interval]:
    """The same time with overlapping and touching intervals joined."""
    result: list[Interval] = []
    for current in sorted(intervals):
        if result and current.start <= result[-1].end:
            last = result.pop()
            current = Interval(last.start, current.end)
        result.append(current)
    return result
