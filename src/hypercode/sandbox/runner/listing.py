"""Listing the workspace: directories, names that match a pattern, and facts about single paths."""

from __future__ import annotations

import fnmatch
import os
import stat

from beneath import check_path
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Iterator
    from typing import Any

    from beneath import Root

SKIPPED = frozenset(["node_modules", "__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"])
DEPTH = 64


def _kind(status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        return "symlink"
    if stat.S_ISDIR(status.st_mode):
        return "dir"
    return "file" if stat.S_ISREG(status.st_mode) else "other"


def walk(root: Root, path: str, depth: int) -> Iterator[tuple[str, str, int]]:
    """Yield (relative path, kind, size) under a directory, names in order, ``.git`` left out."""
    folder = root.open_directory(path)
    try:
        for name in sorted(os.listdir(folder)):
            if name == ".git":
                continue
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            except OSError:
                continue
            full = name if path == "." else path + "/" + name
            kind = _kind(status)
            yield full, kind, 0 if kind == "dir" else status.st_size
            if kind == "dir" and depth > 1:
                yield from _below(root, full, depth - 1)
    finally:
        os.close(folder)


def _below(root: Root, path: str, depth: int) -> Iterator[tuple[str, str, int]]:
    try:
        yield from walk(root, path, depth)
    except Refused:
        return


def shown(path: str) -> str:
    """Return a path as text: a name that is not UTF-8 can't travel as JSON, so its odd bytes are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def tree(root: Root, path: str, depth: int, limit: int, skip: int = 0) -> dict[str, Any]:
    """List a directory down to ``depth``, at most ``limit`` entries after the first ``skip``."""
    found = (
        {"path": shown(full), "kind": kind, "size": size}
        for full, kind, size in walk(root, check_path(path), max(1, min(depth, DEPTH)))
    )
    return _part(found, "entries", limit, skip)


def glob(root: Root, pattern: str, limit: int, skip: int = 0) -> dict[str, Any]:
    """Return the paths that match, in order: ``*`` and ``?`` stay in a name, ``**`` crosses directories.

    Folders of installed packages and of caches are left out unless the pattern names them.
    """
    parts = check_path(pattern).split("/")
    skipped = SKIPPED - set(parts)
    depth = DEPTH if "**" in parts else len(parts)
    found = (
        {"path": shown(full), "kind": kind, "size": size}
        for full, kind, size in walk(root, ".", depth)
        if not skipped.intersection(full.split("/")) and matches(full.split("/"), parts)
    )
    return _part(found, "entries", limit, skip)


def matches(names: list[str], parts: list[str]) -> bool:
    """Whether a path matches a pattern, both split at slashes; in time of their product, whatever they are."""
    reached = [True] + [False] * len(parts)
    for position, part in enumerate(parts):
        reached[position + 1] = reached[position] and part == "**"
    for name in names:
        last, reached = reached, [False] * (len(parts) + 1)
        for position, part in enumerate(parts):
            if part == "**":
                reached[position + 1] = reached[position] or last[position] or last[position + 1]
            else:
                reached[position + 1] = last[position] and fnmatch.fnmatchcase(name, part)
    return reached[-1]


def _part(found: Iterator[dict[str, Any]], name: str, limit: int, skip: int) -> dict[str, Any]:
    kept: list[dict[str, Any]] = []
    for number, each in enumerate(found):
        if number < skip:
            continue
        if len(kept) >= limit:
            return {name: kept, "truncated": True}
        kept.append(each)
    return {name: kept, "truncated": False}


def stat_of(root: Root, paths: list[str]) -> dict[str, Any]:
    """Return what is known of each path, without following a link that it is itself."""
    return {"entries": [_fact(root, check_path(path)) for path in paths]}


def _fact(root: Root, path: str) -> dict[str, Any]:
    folder, _, name = path.rpartition("/")
    missing = {"path": path, "kind": "missing", "size": 0, "mode": 0, "mtime_ns": 0, "links_to": None}
    try:
        fd = root.open_directory(folder or ".")
    except Refused as refused:
        if refused.code == "PATH_OUTSIDE":
            raise
        return missing
    try:
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        target = os.readlink(name, dir_fd=fd) if stat.S_ISLNK(status.st_mode) else None
    except OSError:
        return missing
    finally:
        os.close(fd)
    return {
        "path": path,
        "kind": _kind(status),
        "size": status.st_size,
        "mode": stat.S_IMODE(status.st_mode),
        "mtime_ns": status.st_mtime_ns,
        "links_to": None if target is None else shown(target),
    }
