"""In which era of its run a piece of work is done. A rewind begins the next era: what came after the point that it went
back to no longer counts, so the same steps come again, and need names of their own.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_PREFIX = re.compile(r"e\d+/")
ERA: ContextVar[str] = ContextVar("era", default="")
"""What the names of steps, and the keys of what they write, begin with here; set where a worker takes a run up."""


def prefix_of(era: int) -> str:
    return f"e{era}/" if era else ""


def apart(key: str) -> tuple[str, str]:
    """What the key begins with for its era, and the rest."""
    match = _PREFIX.match(key)
    return (match[0], key[match.end() :]) if match else ("", key)


@contextmanager
def era_of(number: int) -> Generator[None]:
    """Work inside belongs to this era."""
    before = ERA.set(prefix_of(number))
    try:
        yield
    finally:
        ERA.reset(before)


def in_era(key: str) -> str:
    """The key of a step's work, told apart from the same step's in an earlier era."""
    return ERA.get() + key
