"""What changed between two snapshots, as git says it: text line by line, binary files by name."""

from __future__ import annotations

import json
import os
import tempfile

import git
from snapshot_tree import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from snapshot_store import Store
    from snapshot_tree import Folder, Row

MAX_DIFF = 1 << 20
MAX_FILES = 2_000
MAX_COMPARED = 64 << 20
LARGE = 4 << 20
GIT_DIFF = (
    "-c", "core.quotePath=false",
    "diff", "--no-index", "--no-prefix", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv",
    "--", "a", "b",
)  # fmt: skip


def compare(store: Store, old: Folder, new: Folder) -> dict[str, Any]:
    """Return the diff, every path with what became of it, and which of them are not in the diff for their size."""
    before, after = dict(_changed(old, new)), dict(_changed(new, old))
    paths = sorted(set(before) | set(after))
    left_out: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        room = MAX_COMPARED
        for path in paths[:MAX_FILES]:
            pair = (("a", before.get(path)), ("b", after.get(path)))
            size = sum(row[4] for _side, row in pair if row)
            if size > LARGE or size > room:
                left_out.append(path)
                continue
            room -= size
            for side, row in pair:
                if row:
                    _lay_out(store, os.path.join(scratch, side), path, row)
        diff, cut = _said(scratch)
    files = [[_plain(path), _became(before.get(path), after.get(path))] for path in paths]
    return {
        "diff": diff,
        "files": files[:MAX_FILES],
        "total": len(files),
        "left_out": [_plain(path) for path in left_out[:MAX_FILES]],
        "truncated": cut or bool(left_out) or len(files) > MAX_FILES,
    }


def _changed(one: Folder, other: Folder, prefix: str = "") -> list[tuple[str, Row]]:
    """Give what is in one tree and not the same in the other; times do not count, nor what is in a directory."""
    if one.sha256 == other.sha256:
        return []
    found: list[tuple[str, Row]] = []
    for name, row in one.rows.items():
        there = other.rows.get(name)
        if there is None or _essence(row) != _essence(there):
            found.append((prefix + name, row))
        if name in one.folders:
            below = other.folders.get(name) or type(one)()
            found += _changed(one.folders[name], below, prefix + name + "/")
    return found


def _essence(row: Row) -> tuple[Any, ...]:
    return (row[0], row[1], "" if row[0] == DIRECTORY else row[3])


def _became(before: Row | None, after: Row | None) -> str:
    return "added" if before is None else "deleted" if after is None else "modified"


def _lay_out(store: Store, folder: str, path: str, row: Row) -> None:
    """Put a file or link where git will compare it; what git does not know is only named."""
    place = os.path.join(folder, path)
    if row[0] not in ("file", "link"):
        return
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if row[0] == "link":
        os.symlink(row[3], place)
        return
    with open(place, "wb") as stream:
        for part in store.content(row[3]):
            stream.write(part)
    os.chmod(place, 0o755 if row[1] & 0o100 else 0o644)


def _said(scratch: str) -> tuple[str, bool]:
    """Return git's words, cut between two files where they are too many."""
    for side in ("a", "b"):
        os.makedirs(os.path.join(scratch, side), exist_ok=True)
    done = git.run("-C", scratch, *GIT_DIFF, env=git.environment(), check=False)
    text = "\n".join(map(_head, done.stdout.decode("utf-8", "replace").split("\n")))
    cut = False
    while len(json.dumps(text, ensure_ascii=False).encode()) > MAX_DIFF:
        text, cut = text[: _cut_at(text, len(text) * 3 // 4)], True
    return text, cut


def _head(line: str) -> str:
    """Give a head its usual two sides: git names the side that is there twice. No line of a file begins like one."""
    if not line.startswith("diff --git "):
        return line
    names = line[len("diff --git ") :]
    one, other = names[: len(names) // 2], names[len(names) // 2 + 1 :]
    if one != other:
        return line
    return "diff --git %s %s" % (_on_side("a", one), _on_side("b", one))


def _on_side(side: str, name: str) -> str:
    quote = '"' if name.startswith('"') else ""
    return quote + side + name[len(quote) + 1 :]


def _cut_at(text: str, limit: int) -> int:
    return max(text.rfind("\ndiff --git ", 0, limit) + 1, 0)


def _plain(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
