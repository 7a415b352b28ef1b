"""A tool call as the rules see it: which tool, and what its canonical arguments name."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Touched:
    """What a call would touch. Everything is canonical: checked, and in the one form that the tool itself uses.

    ``paths`` are written, relative to the workspace; ``argv`` is a command's words (of a script: ``sh``, ``-c``
    and the script); ``image`` names a container image, ``hosts`` network hosts, ``ref`` a Git ref; ``secrets`` are
    names of secrets; ``size`` is bytes written. None and empty mean: the call names no such thing.
    """

    paths: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    image: str | None = None
    hosts: tuple[str, ...] = ()
    ref: str | None = None
    secrets: tuple[str, ...] = ()
    size: int | None = None


@dataclass(frozen=True)
class ToolCall:
    """What a decision looks at."""

    tool: str
    touched: Touched = field(default_factory=Touched)
