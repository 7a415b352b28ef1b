"""Keeps the values of secrets out of what leaves a tool call: as they are, and in the forms they usually come in.

A form is what a value looks like after one encoding: base64 at any place of a longer text, hex, percent, JSON, Python and
shell quoting, also with line breaks inside. A value that a program changes in another way (reversed, encrypted, encoded
twice, cut into pieces that are shown apart) is not found.
"""

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import quote, quote_plus

from ahocorasick_rs import AhoCorasick, MatchKind

from hypercode.domain.secret import MIN_BYTES

_TELLING = 6
"""Characters of a value, at the edge of a text, that are taken for a part of it."""


def _cut_marks() -> re.Pattern[str]:
    """What a cap leaves where it cut. A second cap may have cut into the mark of the first: parts of it count too."""
    mark = [*map(re.escape, "\n[... "), r"\d+", *map(re.escape, " bytes left out ...]\n")]
    begun = "|".join("".join(mark[:end]) for end in range(len(mark) - 1, 0, -1))
    ended = "|".join("".join(mark[start:]) for start in range(1, len(mark)))
    return re.compile(f"((?:{begun}){{0,2}}{''.join(mark)}(?:{ended}){{0,2}})")


_CUT = _cut_marks()

_BROKEN_LINES = re.compile(r"[A-Za-z0-9+/_-]{8}\r?\n[ \t]*[A-Za-z0-9+/_-]")
_BREAKS = re.compile(r"\r?\n[ \t]*")


class Redactor:
    """Finds the values of some secrets in texts; made once for a set of values."""

    def __init__(self, values: Iterable[tuple[str, str]]) -> None:
        pairs = list(values)
        named = {form: name for name, value in pairs for form in forms(value)}
        self._names = list(named.values())
        self._search = AhoCorasick(list(named), matchkind=MatchKind.LeftmostLongest) if named else None
        self._forms = list(named.items())
        ends = sorted({end for form in named for end in (form[:_TELLING], form[-_TELLING:])})
        self._ends = AhoCorasick(ends) if ends else None
        self.knows_any = bool(named)

    def text(self, text: str) -> str:
        """Return the text with each value, in any of its forms, replaced by ``[secret NAME]``."""
        if self._search is None or self._ends is None:
            return text
        # Each form holds its own two ends: a text without any of them holds no value, whole or cut off.
        if self._ends.find_matches_as_indexes(text):
            text = self._without_edges(self._replaced(text, self._found(text)))
        if "\n" in text and _BROKEN_LINES.search(text):
            text = self._replaced(text, self._found_broken(text))
        return text

    def growing(self, text: str) -> str:
        """The same for a text that more will be added to: its end is held back where it may be the beginning of a value."""
        if self._search is None:
            return text
        return self.text(text[: len(text) - self._begun(text)])

    def _begun(self, text: str) -> int:
        """How many characters at the end are the beginning of a form, with line breaks in it or without."""
        longest = max(len(form) for form, _ in self._forms)
        # A value that is shown in short lines has a break and some spaces for every few characters.
        end = text[-4 * longest :]
        joined, places = _without_breaks(end)
        begun = 0
        for form, _ in self._forms:
            begun = max(begun, _beginning_at_end(end, form))
            if length := _beginning_at_end(joined, form):
                begun = max(begun, len(end) - places[len(joined) - length])
        return begun

    def json(self, value: Any) -> Any:
        """Return a JSON value with all its texts redacted, names of fields too."""
        if self._search is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(key): self.json(item) for key, item in cast(dict[str, Any], value).items()}
        if isinstance(value, list):
            return [self.json(item) for item in cast(list[Any], value)]
        return value

    def names_in(self, text: str) -> set[str]:
        """The names of the secrets whose values are in a text."""
        return {name for _, _, name in (*self._found(text), *self._found_broken(text))}

    def _without_edges(self, text: str) -> str:
        """Also take away the part of a value that a page, a cap or a chunk cut off, at either end of each piece."""
        pieces = _CUT.split(text)
        return "".join(piece if n % 2 else self._edges(piece) for n, piece in enumerate(pieces))

    def _edges(self, piece: str) -> str:
        head, tail, first, last = 0, len(piece), "", ""
        for form, name in self._forms:
            if (length := _overlap_at_start(piece, form)) > head:
                head, first = length, name
            if (length := _overlap_at_end(piece, form)) > len(piece) - tail:
                tail, last = len(piece) - length, name
        if head > tail or not (head or last):
            return f"[secret {first}]" if head else piece
        before = f"[secret {first}]" if head else ""
        after = f"[secret {last}]" if last else ""
        return before + piece[head:tail] + after

    def _found(self, text: str) -> list[tuple[int, int, str]]:
        if self._search is None:
            return []
        matches = self._search.find_matches_as_indexes(text)
        return [(start, end, self._names[which]) for which, start, end in matches]

    def _found_broken(self, text: str) -> list[tuple[int, int, str]]:
        """Matches that line breaks cut up, as places in the text with the breaks."""
        found = self._found(_BREAKS.sub("", text))
        if not found:
            return []
        ends, shifts = list[int](), list[int]()
        left_out = 0
        for gap in _BREAKS.finditer(text):
            ends.append(gap.start() - left_out)
            left_out += gap.end() - gap.start()
            shifts.append(left_out)

        def place(joined: int) -> int:
            before = bisect_right(ends, joined)
            return joined + (shifts[before - 1] if before else 0)

        return [(place(start), place(end - 1) + 1, name) for start, end, name in found]

    def _replaced(self, text: str, found: Iterable[tuple[int, int, str]]) -> str:
        parts, position = list[str](), 0
        for start, end, name in found:
            parts += [text[position:start], f"[secret {name}]"]
            position = end
        return "".join([*parts, text[position:]])


def _without_breaks(text: str) -> tuple[str, list[int]]:
    """The text joined over its line breaks, and where each of its characters stood."""
    places, position = list[int](), 0
    for gap in _BREAKS.finditer(text):
        places += range(position, gap.start())
        position = gap.end()
    places += range(position, len(text))
    return "".join(text[place] for place in places), places


def _beginning_at_end(text: str, form: str) -> int:
    """How many characters of a form's beginning the text ends with, be it one."""
    first = len(text) - min(len(form) - 1, len(text))
    at = text.find(form[0], first)
    while at >= 0:
        if form.startswith(text[at:]):
            return len(text) - at
        at = text.find(form[0], at + 1)
    return 0


def _overlap_at_end(text: str, form: str) -> int:
    """How many characters of a form's beginning the text ends with, where they are enough to tell."""
    tail = text[-(len(form) - 1) :]
    at = tail.find(form[:_TELLING])
    while at >= 0:
        if form.startswith(tail[at:]):
            return len(tail) - at
        at = tail.find(form[:_TELLING], at + 1)
    return 0


def _overlap_at_start(text: str, form: str) -> int:
    """How many characters of a form's end the text begins with."""
    head = text[: len(form) - 1]
    at = head.rfind(form[-_TELLING:])
    while at >= 0:
        if form.endswith(head[: at + _TELLING]):
            return at + _TELLING
        at = head.rfind(form[-_TELLING:], 0, at + _TELLING - 1)
    return 0


def forms(value: str) -> set[str]:
    """Everything that a value may look like; nothing shorter than a secret may be."""
    data = value.encode()
    found = {value, *_quoted(value), *_base64(data), data.hex(), data.hex().upper()}
    found |= {"".join(f"%{byte:02x}" for byte in data), "".join(f"%{byte:02X}" for byte in data)}
    # Logs and terminals show a value of several lines line by line.
    found |= {line for line in value.splitlines() if len(line.strip()) >= MIN_BYTES}
    return {form for form in found if len(form) >= MIN_BYTES}


def _quoted(value: str) -> set[str]:
    return {
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        value.replace("'", "'\"'\"'"),
        value.replace("'", "'\\''"),
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), quote(value, safe="")),
    }


def _base64(data: bytes) -> set[str]:
    """The characters that only the value decides, for each of the three places it can begin at in a longer text."""
    found = set[str]()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        found |= {whole[first:last], whole[first:last].translate(_URL)}
    return found


_URL = str.maketrans("+/", "-_")
