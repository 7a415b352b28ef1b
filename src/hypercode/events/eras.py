"""In which era of its run a piece of work is done. A rewind begins the next era: what came after the point that it went
back to no longer counts, so the same steps come again, and need names of their own.
"""

from contextvars import ContextVar

ERA: ContextVar[str] = ContextVar("era", default="")
"""What the names of steps, and the keys of what they write, begin with here; set where a worker takes a run up."""


def prefix_of(era: int) -> str:
    return f"e{era}/" if era else ""


def in_era(key: str) -> str:
    """The key of a step's work, told apart from the same step's in an earlier era."""
    return ERA.get() + key
