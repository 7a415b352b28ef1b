"""Searching text files of the workspace; a regular expression runs in a child that has ten seconds."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import select
import signal
import time

from beneath import check_path
from files import walk
from frames import write_all
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable, Iterator
    from typing import Any

    from beneath import Root

MAX_FILE = 4 * 1024 * 1024
SKIPPED = frozenset(["node_modules", "__pycache__", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache"])
SECONDS = 10.0


def _wanted(path: str, globs: list[str]) -> bool:
    if any(part in SKIPPED for part in path.split("/")[:-1]):
        return False
    name = path.rpartition("/")[2]
    return not globs or any(
        fnmatch.fnmatchcase(path, glob)
        or fnmatch.fnmatchcase(name, glob)
        or (glob.startswith("**/") and fnmatch.fnmatchcase(path, glob[3:]))
        for glob in globs
    )


def _lines(root: Root, path: str) -> Iterator[tuple[int, str]]:
    try:
        fd, status = root.open_regular(path)
    except Refused:
        return
    with os.fdopen(fd, "rb") as stream:
        if status.st_size > MAX_FILE:
            return
        data = stream.read(MAX_FILE)
    if b"\0" in data[:8192]:
        return
    yield from enumerate(data.decode("utf-8", "replace").splitlines(), 1)


def _scan(
    root: Root, matches: Callable[[str], object], globs: list[str], limit: int, deadline: float
) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for path, kind, _size in walk(root, ".", 64):
        if kind != "file" or not _wanted(path, globs):
            continue
        if time.monotonic() > deadline:
            return {"matches": found, "truncated": True}
        for number, text in _lines(root, path):
            if matches(text):
                if len(found) >= limit:
                    return {"matches": found, "truncated": True}
                shown = os.fsencode(path).decode("utf-8", "replace")
                found.append({"path": shown, "line": number, "text": text[:500]})
    return {"matches": found, "truncated": False}


def search(root: Root, pattern: str, regex: bool, globs: list[str], limit: int) -> dict[str, Any]:
    """Return matching lines in path order; raises Refused for a bad pattern or one that takes too long."""
    if not pattern or len(pattern) > 2000:
        raise Refused("INVALID_ARGUMENT", "a pattern has 1 to 2000 characters")
    for glob in globs:
        check_path(glob)
    deadline = time.monotonic() + SECONDS
    if not regex:
        return _scan(root, lambda text: pattern in text, globs, limit, deadline)
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as failure:
        raise Refused("INVALID_ARGUMENT", "not a regular expression: %s" % failure) from failure
    return _in_child(lambda: _scan(root, compiled.search, globs, limit, deadline + 60), SECONDS)


def _in_child(work: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Run ``work`` in a forked child that is killed after ``seconds``: one re.search can't be interrupted."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            write_all(writer, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    parts: list[bytes] = []
    deadline = time.monotonic() + seconds
    try:
        while True:
            ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise Refused("TIMEOUT", "the regular expression took longer than 10 s", "make it simpler")
            part = os.read(reader, 1 << 16)
            if not part:
                break
            parts.append(part)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not parts:
        raise Refused("INVALID_ARGUMENT", "the search failed")
    found: dict[str, Any] = json.loads(b"".join(parts))
    return found
