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
from frames import write_all
from listing import SKIPPED, shown, walk
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable, Iterator
    from typing import Any

    from beneath import Root

MAX_FILE = 4 * 1024 * 1024
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


def _lines(root: Root, path: str) -> list[str]:
    try:
        fd, status = root.open_regular(path)
    except Refused:
        return []
    with os.fdopen(fd, "rb") as stream:
        if status.st_size > MAX_FILE:
            return []
        data = stream.read(MAX_FILE)
    return [] if b"\0" in data[:8192] else data.decode("utf-8", "replace").splitlines()


class Wanted:
    """What a search is for, and how much of it is wanted."""

    def __init__(self, globs: list[str], limit: int, skip: int = 0, context: int = 0) -> None:
        self.globs = globs
        self.limit = limit
        self.skip = skip
        self.context = max(0, min(context, 5))

    def match(self, path: str, lines: list[str], number: int) -> dict[str, Any]:
        """Return one matching line with those around it."""
        before = lines[max(0, number - self.context) : number]
        after = lines[number + 1 : number + 1 + self.context]
        return {
            "path": shown(path),
            "line": number + 1,
            "text": lines[number][:500],
            "before": [line[:500] for line in before],
            "after": [line[:500] for line in after],
        }


def _hits(
    root: Root, matches: Callable[[str], object], wanted: Wanted, deadline: float
) -> Iterator[dict[str, Any] | None]:
    """Yield matching lines in path order, and None when the time is over."""
    for path, kind, _size in walk(root, ".", 64):
        if kind != "file" or not _wanted(path, wanted.globs):
            continue
        if time.monotonic() > deadline:
            yield None
            return
        lines = _lines(root, path)
        for number, text in enumerate(lines):
            if matches(text):
                yield wanted.match(path, lines, number)


def _scan(root: Root, matches: Callable[[str], object], wanted: Wanted, deadline: float) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for count, hit in enumerate(_hits(root, matches, wanted, deadline)):
        if hit is None or len(found) >= wanted.limit:
            return {"matches": found, "truncated": True}
        if count >= wanted.skip:
            found.append(hit)
    return {"matches": found, "truncated": False}


def search(
    root: Root, pattern: str, regex: bool, globs: list[str], case: bool = True, **part: int
) -> dict[str, Any]:
    """Return matching lines in path order; raises Refused for a bad pattern or one that takes too long."""
    if not pattern or len(pattern) > 2000:
        raise Refused("INVALID_ARGUMENT", "a pattern has 1 to 2000 characters")
    for glob in globs:
        check_path(glob)
    wanted = Wanted(globs, **part)
    deadline = time.monotonic() + SECONDS
    if not regex:
        if case:
            return _scan(root, lambda text: pattern in text, wanted, deadline)
        folded = pattern.casefold()
        return _scan(root, lambda text: folded in text.casefold(), wanted, deadline)
    try:
        compiled = re.compile(pattern, 0 if case else re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as failure:
        raise Refused("INVALID_ARGUMENT", "not a regular expression: %s" % failure) from failure
    return _in_child(lambda: _scan(root, compiled.search, wanted, deadline + 60), SECONDS)


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
