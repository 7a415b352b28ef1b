"""Minutes as people write them."""

from __future__ import annotations


def parse(text: str) -> int:
    hours, _, minutes = text.partition(":")
    value = int(hours) * 60 + int(minutes or 0)
    if not 0 <= value <= 24 * 60:
        raise ValueError(f"{text} is not a time of day")
    return value


def show(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
