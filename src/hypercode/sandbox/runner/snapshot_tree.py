"""A tree of a snapshot in memory: names, what each is, and the hash over all of it."""

from __future__ import annotations

import hashlib
import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Iterator
    from typing import Any

    Row = list[Any]
    """[kind, mode, mtime, what is kept, size]: kept is a content's hash, a link's target, a directory's own hash."""
    Facts = tuple[int, ...]

DIRECTORY = "dir"


class Folder:
    """A directory: a row for every name, a Folder for every directory; ``facts`` are the last stat of a file."""

    __slots__ = ("facts", "folders", "rows", "sha256")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.folders: dict[str, Folder] = {}
        self.facts: dict[str, Facts] = {}
        self.sha256 = ""

    def hashed(self) -> str:
        """Work out the hash over the rows; those of directories must be right already."""
        rows = [[name, *self.rows[name]] for name in sorted(self.rows)]
        self.sha256 = hashlib.sha256(json.dumps(rows, separators=(",", ":")).encode()).hexdigest()
        return self.sha256

    def seal(self) -> str:
        """Work out the hash of this directory and of all below; what they were said to be does not count."""
        for name, folder in self.folders.items():
            self.rows[name][3] = folder.seal()
        return self.hashed()

    def change(self, snapshot: dict[str, Any]) -> None:
        """Make it what it is after one more snapshot."""
        for path in snapshot["gone"]:
            folder, name = self._parent(path)
            folder.rows.pop(name, None)
            folder.folders.pop(name, None)
        for path, *row in snapshot["rows"]:
            folder, name = self._parent(path)
            folder.rows[name] = row
            if row[0] != DIRECTORY:
                folder.folders.pop(name, None)
            elif name not in folder.folders:
                folder.folders[name] = Folder()

    def _parent(self, path: str) -> tuple[Folder, str]:
        folder = self
        *above, name = path.split("/")
        for each in above:
            folder = folder.folders[each]
        return folder, name

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Row]]:
        """Give every path with its row, a directory before what is in it."""
        for name, row in self.rows.items():
            yield prefix + name, row
            if name in self.folders:
                yield from self.folders[name].walk(prefix + name + "/")

    def every(self, path: str) -> Iterator[tuple[str, Folder]]:
        """Give this directory and every one below, by path."""
        yield path, self
        for name, folder in self.folders.items():
            yield from folder.every(path + name + "/")
