"""What a patch asks for, and applying it to text. Pure: nothing here reads or writes a file.

Reading a patch is in patch_text.py. A patch is data of a model: what is not understood is refused, not skipped.
"""

from dataclasses import dataclass
from typing import Literal

MAX_FILES = 200

Action = Literal["add", "update", "delete"]
Kind = Literal[" ", "-", "+"]


class Rejected(Exception):
    """A file's part of a patch does not fit what is there; says why."""


@dataclass(frozen=True)
class Hunk:
    """Lines to find (context and removed) and to put in their place.

    ``start`` is the line where they should be, 1-based (0: before the first), None when the patch does not say.
    ``after`` are lines to pass first, in order. Each line has its line break, except where the patch says none.
    """

    lines: tuple[tuple[Kind, str], ...]
    start: int | None = None
    after: tuple[str, ...] = ()
    at_end: bool = False

    @property
    def old(self) -> list[str]:
        """The lines that must be there."""
        return [text for kind, text in self.lines if kind != "+"]


@dataclass(frozen=True)
class FilePatch:
    """What happens to one file. ``target``: its new path when it is renamed; ``mode``: its new mode."""

    action: Action
    path: str
    target: str | None = None
    mode: int | None = None
    hunks: tuple[Hunk, ...] = ()
    checked: bool = True
    """Whether a deletion names the whole content that goes."""

    @property
    def status(self) -> Literal["added", "modified", "deleted", "renamed"]:
        """What to call it."""
        if self.target is not None:
            return "renamed"
        return {"add": "added", "update": "modified", "delete": "deleted"}[self.action]  # type: ignore[return-value]


def split_lines(text: str) -> list[str]:
    """Split at line feeds alone, each line with its own; joined again they are the text."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def apply_patch(patch: FilePatch, content: str, *, strict: bool) -> str:
    """Return the text after the patch; raises Rejected.

    ``strict``: lines must be exactly as the patch has them, and where they are found elsewhere than it says, found
    once. Otherwise white space at line ends does not count, and the nearest place is taken.
    """
    lines = split_lines(content)
    result: list[str] = []
    done = 0
    shift = 0
    for number, hunk in enumerate(patch.hunks, start=1):
        place = _place(hunk, lines, done, shift, strict)
        if isinstance(place, str):
            raise Rejected(f"hunk {number}: {place}")
        result += lines[done:place]
        own = iter(lines[place : place + len(hunk.old)])
        for kind, text in hunk.lines:
            if kind == "+":
                result.append(text)
            else:
                there = next(own)
                result += [there] if kind == " " else []
        if hunk.start is not None:
            shift = place - _expected(hunk)
        done = place + len(hunk.old)
    text = "".join(_joined([*result, *lines[done:]]))
    if patch.action == "delete" and patch.checked and text:
        raise Rejected("the file has more in it than the patch deletes")
    return text


def _joined(lines: list[str]) -> list[str]:
    """Only the last line may be without a line break."""
    return [line if line.endswith("\n") else line + "\n" for line in lines[:-1]] + lines[-1:]


def _expected(hunk: Hunk) -> int:
    start = hunk.start or 0
    # A hunk that finds no lines names the line after which it inserts.
    return start if not hunk.old else max(start - 1, 0)


def _place(hunk: Hunk, lines: list[str], floor: int, shift: int, strict: bool) -> int | str:
    """Return the index of the line where a hunk goes, or why there is none."""
    for text in hunk.after:
        at = next((index for index in range(floor, len(lines)) if lines[index].strip() == text.strip()), None)
        if at is None:
            return f"there is no line {text.strip()[:100]!r}"
        floor = at + 1
    old = hunk.old
    if not old:
        return _insertion(hunk, lines, floor, shift)
    found = [index for index in range(floor, len(lines) - len(old) + 1) if _fits(old, lines, index, strict)]
    if hunk.at_end:
        found = [index for index in found if index + len(old) == len(lines)]
    if not found:
        return "its lines are not in the file: " + repr(old[0].rstrip("\n")[:100])
    if hunk.start is not None:
        wanted = _expected(hunk) + shift
        if wanted in found:
            return wanted
        nearest = min(found, key=lambda index: abs(index - wanted))
        return nearest if len(found) == 1 or not strict else _several(found)
    return found[0] if len(found) == 1 or not strict or hunk.after else _several(found)


def _several(found: list[int]) -> str:
    places = ", ".join(str(index + 1) for index in found[:5])
    return f"its lines are in the file {len(found)} times (lines {places}); give more lines around the place"


def _insertion(hunk: Hunk, lines: list[str], floor: int, shift: int) -> int | str:
    if hunk.start is None:
        return floor if hunk.after else len(lines)
    place = _expected(hunk) + shift
    if floor <= place <= len(lines):
        return place
    return f"the file has no line {place}"


def _fits(old: list[str], lines: list[str], index: int, strict: bool) -> bool:
    return all(_same(there, text, strict) for there, text in zip(lines[index:], old, strict=False))


def _same(there: str, text: str, strict: bool) -> bool:
    # A last line without its line break is that line all the same.
    return text in (there, there + "\n") if strict else there.rstrip() == text.rstrip()
