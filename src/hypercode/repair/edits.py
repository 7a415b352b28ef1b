"""Text edits: applying them, showing them as a diff, and as unique old/new text pairs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Dict, List, Tuple


@dataclass(frozen=True)
class Replacement:
    """Text between two character offsets becomes `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Change:
    """One proposed edit of one file, with the template that made it.

    `cost` is the template's price: about 1 for an edit that people often need, 3 for a rare one.
    `why` is a plain sentence without a full stop.
    """

    replacements: Tuple[Replacement, ...]
    template: str
    cost: float
    why: str
    line: int

    @property
    def span(self) -> Tuple[int, int]:
        """Smallest range of offsets that holds every replacement."""
        starts = [entry.start for entry in self.replacements]
        ends = [entry.end for entry in self.replacements]
        return min(starts), max(ends)


def apply(text: str, replacements: Tuple[Replacement, ...], offset: int = 0) -> str:
    """The text with every replacement made. `offset` is where `text` begins in its file.

    Raises ValueError when two replacements overlap.
    """
    parts: List[str] = []
    position = 0
    for entry in sorted(replacements, key=lambda each: (each.start, each.end)):
        start, end = entry.start - offset, entry.end - offset
        if start < position or end < start:
            raise ValueError("replacements overlap")
        parts += [text[position:start], entry.text]
        position = end
    return "".join([*parts, text[position:]])


def unified_diff(path: str, old: str, new: str) -> str:
    """A diff that `git apply` takes, with `a/` and `b/` before the path."""
    before = old.splitlines(keepends=True) if "\x0c" not in old else _lines(old)
    after = new.splitlines(keepends=True) if "\x0c" not in new else _lines(new)
    pieces: List[str] = []
    for line in difflib.unified_diff(before, after, f"a/{path}", f"b/{path}"):
        pieces.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(pieces)


def _lines(text: str) -> List[str]:
    pieces = text.split("\n")
    return [piece + "\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def anchored_edits(path: str, old: str, new: str) -> List[Dict[str, str]]:
    """The change as edits whose old text occurs exactly once in the file as it is by then.

    One edit for each changed place; lines of context are added until the old text is unique.
    """
    before, after = _lines(old), _lines(new)
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    changed = [block[1:] for block in blocks if block[0] != "equal"]
    edits = [_anchor(before, after, block) for block in changed]
    if _replays(edits, old, new):
        return [{"path": path, "old": first, "new": second} for first, second in edits]
    start, end = changed[0][0], changed[-1][1]
    first, second = _anchor(before, after, (start, end, changed[0][2], changed[-1][3]))
    return [{"path": path, "old": first, "new": second}]


def _anchor(before: List[str], after: List[str], block: Tuple[int, int, int, int]) -> Tuple[str, str]:
    start, end, new_start, new_end = block
    text = "".join(before)
    low, high = start, end
    while True:
        old = "".join(before[low:high])
        if (old and text.count(old) == 1) or (low == 0 and high == len(before)):
            prefix, suffix = "".join(before[low:start]), "".join(before[end:high])
            return old, prefix + "".join(after[new_start:new_end]) + suffix
        low = max(0, low - 1)
        if low == 0 or (start - low) > (high - end):
            high = min(len(before), high + 1)


def _replays(edits: List[Tuple[str, str]], old: str, new: str) -> bool:
    text = old
    for first, second in edits:
        if text.count(first) != 1:
            return False
        text = text.replace(first, second)
    return text == new
