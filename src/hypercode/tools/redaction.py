"""Keeps the values of secrets out of what leaves a tool call: as they are, and in the forms they usually come in.

A form is what a value looks like after one encoding: base64 at any place of a longer text, hex, percent, JSON, Python and
shell quoting. A value that a program changes in another way (reversed, encrypted, encoded twice) is not found.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, quote_plus

from ahocorasick_rs import AhoCorasick, MatchKind

from hypercode.domain.secret import MIN_BYTES

_LONG_LINE = 54
"""Bytes of which base64 is one line: programs break longer ones."""

_BROKEN_LINES = re.compile(r"[A-Za-z0-9+/_-]{8}\r?\n[ \t]*[A-Za-z0-9+/_-]")
_BREAKS = re.compile(r"\r?\n[ \t]*")


class Redactor:
    """Finds the values of some secrets in texts; made once for a set of values."""

    def __init__(self, values: Mapping[str, str]) -> None:
        named = {form: name for name, value in values.items() for form in forms(value)}
        self._names = list(named.values())
        self._search = AhoCorasick(list(named), matchkind=MatchKind.LeftmostLongest) if named else None
        self._breakable = any(len(value.encode()) > _LONG_LINE for value in values.values())
        self.longest = max(map(len, named), default=0)

    def text(self, text: str) -> str:
        """Return the text with each value, in any of its forms, replaced by ``[secret NAME]``."""
        if self._search is None:
            return text
        redacted = self._replaced(text, self._found(text))
        if self._breakable and _BROKEN_LINES.search(redacted):
            redacted = self._replaced(redacted, self._found_broken(redacted))
        return redacted

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

    def _found(self, text: str) -> list[tuple[int, int, str]]:
        if self._search is None:
            return []
        matches = self._search.find_matches_as_indexes(text)
        return [(start, end, self._names[which]) for which, start, end in matches]

    def _found_broken(self, text: str) -> list[tuple[int, int, str]]:
        """Matches that line breaks cut up, as places in the text with the breaks."""
        kept, at = list[str](), list[int]()
        position = 0
        for gap in (*_BREAKS.finditer(text), None):
            end = gap.start() if gap else len(text)
            kept.append(text[position:end])
            at.extend(range(position, end))
            position = gap.end() if gap else end
        return [(at[start], at[end - 1] + 1, name) for start, end, name in self._found("".join(kept))]

    def _replaced(self, text: str, found: Iterable[tuple[int, int, str]]) -> str:
        parts, position = list[str](), 0
        for start, end, name in found:
            parts += [text[position:start], f"[secret {name}]"]
            position = end
        return "".join([*parts, text[position:]])


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
