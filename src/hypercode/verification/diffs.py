"""A unified diff as git writes it, read into files with their added and removed lines."""

import re
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

_HEADER = re.compile(r'^diff --git (?P<rest>"?a/.*)$')
_HUNK = re.compile(r"^@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX = re.compile(r"^index ([0-9a-f]+)\.\.([0-9a-f]+)(?: (\d+))?$")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b'"': b'"', b"\\": b"\\", b"r": b"\r", b"a": b"\a", b"b": b"\b"}


class ChangedLine(BaseModel):
    """A line that the diff adds, with its number at head."""

    model_config = ConfigDict(frozen=True)

    number: int
    text: str


class FileChange(BaseModel):
    """What a diff does to one file. ``old_path`` is None for an added file, ``new_path`` for a deleted one."""

    model_config = ConfigDict(frozen=True)

    old_path: str | None
    new_path: str | None
    added: list[ChangedLine]
    removed: list[str]
    old_blob: str | None = None
    new_blob: str | None = None
    mode: str | None = None
    binary: bool = False

    @property
    def path(self) -> str:
        """The path at head, or at base for a deleted file."""
        return self.new_path or self.old_path or ""

    @property
    def paths(self) -> set[str]:
        """Both paths of a renamed file."""
        return {path for path in (self.old_path, self.new_path) if path}


def read_diff(diff: str) -> list[FileChange]:
    """Read a git diff. Lines that fit no rule are skipped: a diff is data from a repository."""
    return [_read_file(lines) for lines in _files(diff)]


def _files(diff: str) -> Iterator[list[str]]:
    """Split at file headers, counting hunk lines, so that a line of content can't pose as a header."""
    current: list[str] = []
    left_old = left_new = 0
    # Not splitlines(): a form feed or a lone carriage return inside a line does not end it for git.
    for line in diff.split("\n"):
        if left_old > 0 or left_new > 0:
            left_old -= line[:1] in (" ", "-", "")
            left_new -= line[:1] in (" ", "+", "")
        elif hunk := _HUNK.match(line):
            left_old, left_new = int(hunk[1] or 1), int(hunk[3] or 1)
        elif _HEADER.match(line):
            if current:
                yield current
            current = []
        if current or _HEADER.match(line):
            current.append(line)
    if current:
        yield current


class _Reader:
    def __init__(self, header: str) -> None:
        self.old, self.new = _header_paths(header)
        self.added: list[ChangedLine] = []
        self.removed: list[str] = []
        self.fields: dict[str, str] = {}
        self.binary = False

    def meta(self, line: str) -> None:
        if line.startswith("new file mode "):
            self.old, self.fields["mode"] = None, line.removeprefix("new file mode ").strip()
        elif line.startswith("deleted file mode "):
            self.new = None
        elif line.startswith("new mode "):
            self.fields["mode"] = line.removeprefix("new mode ").strip()
        elif line.startswith(("rename from ", "copy from ")):
            self.old = _unquote(line.split(" from ", 1)[1])
        elif line.startswith(("rename to ", "copy to ")):
            self.new = _unquote(line.split(" to ", 1)[1])
        elif line.startswith(("GIT binary patch", "Binary files ")):
            self.binary = True
        elif line.startswith(("--- ", "+++ ")):
            self._named(line)
        elif index := _INDEX.match(line):
            self.fields["old_blob"], self.fields["new_blob"] = index[1], index[2]
            if index[3]:
                self.fields.setdefault("mode", index[3])

    def _named(self, line: str) -> None:
        path = line[4:]
        if path == "/dev/null":
            return
        if line.startswith("-"):
            self.old = _strip(path)
        else:
            self.new = _strip(path)


def _read_file(lines: list[str]) -> FileChange:
    reader = _Reader(lines[0])
    number = 0
    in_hunk = False
    for line in lines[1:]:
        if hunk := _HUNK.match(line):
            number, in_hunk = int(hunk[2]), True
        elif not in_hunk:
            reader.meta(line)
        elif line.startswith("+"):
            reader.added.append(ChangedLine(number=number, text=line[1:]))
            number += 1
        elif line.startswith("-"):
            reader.removed.append(line[1:])
        elif line.startswith(" "):
            number += 1
    return FileChange(
        old_path=reader.old,
        new_path=reader.new,
        added=reader.added,
        removed=reader.removed,
        old_blob=reader.fields.get("old_blob"),
        new_blob=reader.fields.get("new_blob"),
        mode=reader.fields.get("mode"),
        binary=reader.binary,
    )


def _header_paths(header: str) -> tuple[str | None, str | None]:
    """The header names both paths, the same one twice unless renamed (then ``rename`` lines follow)."""
    rest = header.removeprefix("diff --git ")
    if rest.startswith('"') and rest.endswith('"'):
        old, _, new = rest[1:-1].partition('" "')
        return _strip(f'"{old}"'), _strip(f'"{new}"')
    half = len(rest) // 2
    return _strip(rest[:half]), _strip(rest[half + 1 :])


def _strip(path: str) -> str:
    plain = _unquote(path.rstrip("\t"))
    return plain[2:] if plain[:2] in ("a/", "b/") else plain


def _unquote(path: str) -> str:
    if not (path.startswith('"') and path.endswith('"') and len(path) > 1):
        return path
    return _ESCAPE.sub(_unescape, path[1:-1].encode()).decode(errors="replace")


def _unescape(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8) & 255]) if len(code) == 3 else _ESCAPES.get(code, code)
