"""Reading patches: unified diffs as Git and diff write them, and the ``*** Begin Patch`` form of coding models.

What a patch may not do is refused here, before anything is read: paths that leave the workspace, ``.git``, symbolic
links and submodules, binary content, copies.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypercode.domain.errors import InvalidArgument, PolicyDenied, TooLarge
from hypercode.mcp_protocol.schemas import canonical_path
from hypercode.tools.patches import MAX_FILES, Action, FilePatch, Hunk, Kind

MODES = {"100644": 0o644, "100755": 0o755}
NO_NEWLINE = "\\ No newline at end of file"
_RANGE = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@")
_SAME_NAMES = re.compile(r"a/(?P<name>.+) b/(?P=name)")
_ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, '"': 34, "\\": 92}
_QUOTED = re.compile(r"\\([0-7]{3}|.)|([^\\]+)", re.DOTALL)


def read_patch(text: str, *, strict: bool = True) -> list[FilePatch]:
    """Return what a patch asks for; raises InvalidArgument, PathOutside, PolicyDenied or TooLarge.

    Not ``strict``: line counts in the hunks' headers may be wrong.
    """
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    begins = next((line for line in lines if line.strip()), "").strip() == "*** Begin Patch"
    patches = _BeginPatch(lines).files() if begins else _Unified(lines, strict).files()
    if not patches:
        raise InvalidArgument("the patch changes no file", hint="Give a unified diff, or *** Begin Patch.")
    if len(patches) > MAX_FILES:
        raise TooLarge(f"the patch changes {len(patches)} files, more than {MAX_FILES}")
    paths = touched_paths(patches)
    if len(set(paths)) != len(paths):
        raise InvalidArgument("the patch names a file twice", hint="Put all hunks of a file together.")
    return patches


def touched_paths(patches: Sequence[FilePatch]) -> list[str]:
    """Every path that is written or removed."""
    return [path for patch in patches for path in (patch.path, patch.target) if path is not None]


def _checked(raw: str) -> str:
    path = canonical_path(raw)
    if path == ".":
        raise InvalidArgument("a patch names the workspace itself")
    if any(part.casefold() == ".git" for part in path.split("/")):
        raise PolicyDenied(".git belongs to the platform and can't be written")
    return path


def _mode(text: str) -> int:
    if text.strip() not in MODES:
        raise InvalidArgument(f"mode {text.strip()[:20]!r} is refused: a patch makes plain files only")
    return MODES[text.strip()]


def _unquoted(raw: str) -> str:
    """Undo Git's quoting of names with unusual bytes."""
    if not (len(raw) >= 2 and raw[0] == raw[-1] == '"'):
        return raw
    out = bytearray()
    for escape, plain in _QUOTED.findall(raw[1:-1]):
        if plain:
            out += plain.encode("utf-8", "surrogatepass")
        elif escape[0] in "01234567" and len(escape) == 3:
            out.append(int(escape, 8) & 0xFF)
        elif escape in _ESCAPES:
            out.append(_ESCAPES[escape])
        else:
            raise InvalidArgument(f"a quoted name can't be read: {raw[:100]!r}")
    try:
        return out.decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument("a name in the patch is not UTF-8") from error


@dataclass
class _Header:
    """What stands before a file's hunks."""

    named: str | None = None
    old: str | None = None
    new: str | None = None
    has_names: bool = False
    rename_from: str | None = None
    rename_to: str | None = None
    mode: int | None = None
    added: bool = False
    deleted: bool = False
    hunks: list[Hunk] = field(default_factory=list[Hunk])

    def patch(self) -> FilePatch:
        """Put together what the lines say; raises InvalidArgument where they contradict each other."""
        old, new = self._names()
        if old is None and new is None:
            raise InvalidArgument("a file in the patch has no name")
        if old is None or self.added:
            return self._add(_checked(str(new)), old)
        if new is None or self.deleted:
            if self.has_names and new is not None:
                raise InvalidArgument("a file is deleted and named at once")
            return FilePatch("delete", _checked(old), hunks=tuple(self.hunks))
        if old != new and self.rename_from is None:
            raise InvalidArgument(f"{old[:100]!r} and {new[:100]!r} differ without being a rename")
        path, target = _checked(old), _checked(new)
        return FilePatch(
            "update", path, target=target if target != path else None, mode=self.mode, hunks=tuple(self.hunks)
        )

    def _add(self, path: str, old: str | None) -> FilePatch:
        if self.deleted or self.rename_from is not None or (self.has_names and old is not None):
            raise InvalidArgument("a file is added and named as old at once")
        if any(kind != "+" for hunk in self.hunks for kind, _ in hunk.lines):
            raise InvalidArgument(f"{path} is added, but the patch expects lines in it")
        return FilePatch("add", path, mode=self.mode, hunks=tuple(self.hunks))

    def _names(self) -> tuple[str | None, str | None]:
        if self.rename_from is not None or self.rename_to is not None:
            names = (self.rename_from, self.rename_to)
            if None in names or (self.has_names and names != (self.old, self.new)):
                raise InvalidArgument("the names of a rename contradict each other")
            return names
        if self.has_names:
            told = self.named in (None, self.old, self.new)
            if not told:
                raise InvalidArgument(f"the names of {str(self.named)[:100]!r} contradict each other")
            return self.old, self.new
        return self.named, self.named


class _Unified:
    """Reads a unified diff line by line."""

    def __init__(self, lines: list[str], strict: bool) -> None:
        self._lines = lines
        self._strict = strict
        self._at = 0

    def files(self) -> list[FilePatch]:
        """All files of the diff."""
        found: list[_Header] = []
        while (line := self._peek()) is not None:
            if line.startswith("diff --git "):
                found.append(self._git_header())
            elif line.startswith("--- ") and self._is_names():
                found.append(_Header())
                self._names(found[-1])
            elif line.startswith("@@ ") and found:
                found[-1].hunks.append(self._hunk())
            elif line == "-- " and found:
                break
            elif found and line.strip():
                raise InvalidArgument(f"line {self._at + 1} is not part of a patch: {line[:100]!r}")
            else:
                self._at += 1
        return [header.patch() for header in found]

    def _peek(self, ahead: int = 0) -> str | None:
        index = self._at + ahead
        return self._lines[index] if index < len(self._lines) else None

    def _is_names(self) -> bool:
        return (self._peek(1) or "").startswith("+++ ")

    def _names(self, header: _Header) -> None:
        old, new = (_name(str(self._peek(ahead))[4:]) for ahead in (0, 1))
        self._at += 2
        if (old is None or old.startswith("a/")) and (new is None or new.startswith("b/")):
            old, new = old and old[2:], new and new[2:]
        header.old, header.new, header.has_names = old, new, True

    def _git_header(self) -> _Header:
        names = str(self._peek())[len("diff --git ") :].rstrip("\r")
        same = _SAME_NAMES.fullmatch(names)
        header = _Header(named=same["name"] if same else _quoted_pair(names))
        self._at += 1
        while (line := self._peek()) is not None:
            if line.startswith("--- ") and self._is_names():
                self._names(header)
                break
            if not self._extended(header, line.rstrip("\r")):
                break
            self._at += 1
        return header

    def _extended(self, header: _Header, line: str) -> bool:
        """Take one line of Git's own header; return whether it was one."""
        for start, take in _EXTENDED.items():
            if line.startswith(start):
                take(header, line[len(start) :])
                return True
        if line.startswith(("GIT binary patch", "Binary files ")):
            raise InvalidArgument("a binary patch is refused: write the file with fs_write or a command")
        return False

    def _hunk(self) -> Hunk:
        line = str(self._peek())
        match = _RANGE.match(line)
        if match is None:
            raise InvalidArgument(f"line {self._at + 1}: a hunk's header can't be read: {line[:100]!r}")
        self._at += 1
        old, new = (1 if match[group] is None else int(match[group]) for group in (2, 4))
        body = self._body(old, new)
        return Hunk(lines=tuple(body), start=int(match[1]))

    def _body(self, old: int, new: int) -> list[tuple[Kind, str]]:
        body: list[tuple[Kind, str]] = []
        counted = {"-": 0, "+": 0}
        while (line := self._peek()) is not None:
            if line.startswith("\\"):
                if not body:
                    raise InvalidArgument(f"line {self._at + 1}: nothing stands before {NO_NEWLINE!r}")
                body[-1] = (body[-1][0], body[-1][1].removesuffix("\n"))
                self._at += 1
                continue
            done = counted["-"] >= old and counted["+"] >= new
            if (done and self._strict) or self._ends(line):
                break
            kind: Kind = " " if line == "" else line[0]  # type: ignore[assignment]
            body.append((kind, line[1:] + "\n"))
            for side in "-+":
                counted[side] += kind in (" ", side)
            self._at += 1
        if self._strict and (counted["-"], counted["+"]) != (old, new):
            raise InvalidArgument(
                f"line {self._at + 1}: the hunk has {counted['-']} old and {counted['+']} new lines, its header"
                f" says {old} and {new}",
                hint="Correct the header, or set strict to false.",
            )
        return body

    def _ends(self, line: str) -> bool:
        """Whether a line can't belong to a hunk, or begins the next file."""
        if line == "":
            return not self._strict and self._peek(1) is None
        if line[0] not in " +-":
            return True
        return not self._strict and ((line.startswith("--- ") and self._is_names()) or line == "-- ")


def _name(raw: str) -> str | None:
    """Return a name as it stands after ``---`` or ``+++``, None for /dev/null."""
    # What follows a tab is a time; a tab in a name is quoted.
    name = _unquoted(raw.rstrip("\r").split("\t")[0])
    return None if name == "/dev/null" else name


def _quoted_pair(names: str) -> str | None:
    """Return the one name of ``"a/x" "b/x"``; None when they differ, as in a rename."""
    match = re.fullmatch(r'("a/(?:[^"\\]|\\.)*") ("b/(?:[^"\\]|\\.)*")', names)
    if match is None:
        return None
    old, new = _unquoted(match[1])[2:], _unquoted(match[2])[2:]
    return old if old == new else None


def _take_mode(header: _Header, text: str) -> None:
    header.mode = _mode(text)


def _check_mode(_: _Header, text: str) -> None:
    _mode(text)


def _take_new_file(header: _Header, text: str) -> None:
    header.mode, header.added = _mode(text), True


def _take_deleted(header: _Header, text: str) -> None:
    _mode(text)
    header.deleted = True


def _take_index(_: _Header, text: str) -> None:
    if " " in text.strip():
        _mode(text.strip().rpartition(" ")[2])


def _take_from(header: _Header, text: str) -> None:
    header.rename_from = _unquoted(text)


def _take_to(header: _Header, text: str) -> None:
    header.rename_to = _unquoted(text)


def _refuse_copy(_: _Header, __: str) -> None:
    raise InvalidArgument("copies are refused: add the file with its content")


def _nothing(_: _Header, __: str) -> None:
    """Says nothing that matters here."""


_EXTENDED: dict[str, Callable[[_Header, str], None]] = {
    "old mode ": _check_mode,
    "new mode ": _take_mode,
    "new file mode ": _take_new_file,
    "deleted file mode ": _take_deleted,
    "similarity index ": _nothing,
    "dissimilarity index ": _nothing,
    "rename from ": _take_from,
    "rename to ": _take_to,
    "copy from ": _refuse_copy,
    "copy to ": _refuse_copy,
    "index ": _take_index,
}


class _BeginPatch:
    """Reads the ``*** Begin Patch`` form."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = [line.rstrip("\r") if line.startswith("*** ") else line for line in lines]
        self._at = next(index for index, line in enumerate(lines) if line.strip()) + 1

    def files(self) -> list[FilePatch]:
        """All files up to ``*** End Patch``."""
        found: list[FilePatch] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if line.strip() == "*** End Patch":
                return found
            verb, _, raw = line.partition(": ")
            if verb not in ("*** Add File", "*** Update File", "*** Delete File"):
                raise InvalidArgument(f"line {self._at} is not part of a patch: {line[:100]!r}")
            found.append(self._file(verb.split(" ")[1], _checked(raw.strip())))
        raise InvalidArgument("the patch has no *** End Patch")

    def _file(self, verb: str, path: str) -> FilePatch:
        actions: dict[str, Action] = {"Add": "add", "Update": "update", "Delete": "delete"}
        if verb == "Delete":
            return FilePatch("delete", path, checked=False)
        target = None
        if verb == "Update" and self._rest().startswith("*** Move to: "):
            target = _checked(self._rest()[len("*** Move to: ") :].strip())
            self._at += 1
        hunks = self._hunks()
        if verb == "Add" and any(kind != "+" for hunk in hunks for kind, _ in hunk.lines):
            raise InvalidArgument(f"{path} is added: each of its lines begins with +")
        if verb == "Update" and not hunks and target is None:
            raise InvalidArgument(f"{path} is updated, but nothing is to change")
        return FilePatch(actions[verb], path, target=target if target != path else None, hunks=tuple(hunks))

    def _rest(self) -> str:
        return self._lines[self._at] if self._at < len(self._lines) else ""

    def _hunks(self) -> list[Hunk]:
        hunks: list[Hunk] = []
        after: list[str] = []
        lines: list[tuple[Kind, str]] = []
        at_end = False

        def close() -> None:
            if lines:
                hunks.append(Hunk(tuple(lines), after=tuple(after), at_end=at_end))
                lines.clear()
                after.clear()

        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line == "*** End of File":
                at_end = True
            elif line.startswith("***"):
                break
            elif line.startswith("@@"):
                close()
                at_end = False
                after += [line[2:].strip()] if line[2:].strip() else []
            elif line == "" or line[0] in " +-":
                lines.append((line[0] if line else " ", line[1:] + "\n"))  # type: ignore[arg-type]
            else:
                raise InvalidArgument(
                    f"line {self._at + 1} begins with none of ' ', '+', '-': {line[:100]!r}"
                )
            self._at += 1
        close()
        return hunks
