"""One look at a whole workspace: what is as it was is taken over, and only what has changed is read.

A file counts as unchanged when its kind, mode, size, times and inode are what they were. Its ctime comes from the
kernel and nobody can set it; one so young that a second change could bear the same is not trusted, and read again.
"""

from __future__ import annotations

import os
import stat
import time

from refusals import Refused
from snapshot_open import entered, opened
from snapshot_tree import DIRECTORY, Folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from snapshot_store import Store
    from snapshot_tree import Facts, Row

MAX_ENTRIES = 500_000
MAX_BYTES = 8 << 30
MAX_DEPTH = 200
YOUNG_NS = 50_000_000
OURS = ".hypercode-"
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_EMPTY = Folder()


class Scan:
    """What one look came to: how much there is, and how many files had to be read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._trusted = time.time_ns() - YOUNG_NS
        self.entries = 0
        self.bytes = 0
        self.read = 0
        self.left_out = 0

    def folder(self, fd: int, depth: int, old: Folder | None) -> Folder:
        """Return what a directory is now: ``old`` itself where nothing in it has changed."""
        if depth > MAX_DEPTH:
            raise Refused("TOO_LARGE", "directories are nested deeper than %d" % MAX_DEPTH)
        old = old or _EMPTY
        new = Folder()
        rows, facts, old_facts, old_rows = new.rows, new.facts, old.facts, old.rows
        with os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(OURS):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                    seen = _facts(status)
                    if old_facts.get(name) == seen:
                        rows[name], facts[name] = old_rows[name], seen
                    else:
                        self._look(fd, depth, name, status, old, new)
                except FileNotFoundError:
                    continue
        self._count(rows)
        if rows == old_rows and old is not _EMPTY:
            old.facts = facts
            return old
        new.hashed()
        return new

    def _count(self, rows: dict[str, Row]) -> None:
        self.entries += len(rows)
        self.bytes += sum([row[4] for row in rows.values()])
        if self.entries > MAX_ENTRIES or self.bytes > MAX_BYTES:
            raise Refused("TOO_LARGE", "the workspace is larger than a snapshot may be")

    def _look(self, fd: int, depth: int, name: str, status: os.stat_result, old: Folder, new: Folder) -> None:
        """Note what has changed, or may have; a socket or device is left out."""
        mode, mtime = stat.S_IMODE(status.st_mode), status.st_mtime_ns
        if stat.S_ISDIR(status.st_mode):
            with entered(name, fd, status) as below:
                folder = self.folder(below, depth + 1, old.folders.get(name))
            new.folders[name] = folder
            new.rows[name] = [DIRECTORY, mode, mtime, folder.sha256, 0]
        elif stat.S_ISLNK(status.st_mode):
            new.rows[name] = ["link", mode, mtime, os.readlink(name, dir_fd=fd), 0]
        elif stat.S_ISREG(status.st_mode):
            seen = _facts(status)
            kept, size, settled = self._file(fd, name, status, seen)
            new.rows[name] = ["file", mode, mtime, kept, size]
            if settled:
                new.facts[name] = seen
        elif stat.S_ISFIFO(status.st_mode):
            new.rows[name] = ["fifo", mode, mtime, "", 0]
        else:
            self.left_out += 1

    def _file(self, folder: int, name: str, status: os.stat_result, seen: Facts) -> tuple[str, int, bool]:
        """Return (what is kept, its size, whether it stays that as long as its stat does)."""
        fd = opened(name, folder, _FILE, status)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FileNotFoundError(name)
            self.read += 1
            kept, size = self._store.add_file(fd)
            after = os.fstat(fd)
        finally:
            os.close(fd)
        return kept, size, _facts(after) == seen and status.st_ctime_ns < self._trusted


def _facts(status: os.stat_result) -> Facts:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)


def changes(old: Folder | None, new: Folder, prefix: str, rows: list[Row], gone: list[str]) -> None:
    """Collect what leads from one tree to the next: rows by path, and the paths that are no longer there."""
    if old is new:
        return
    old = old or _EMPTY
    for name, row in new.rows.items():
        if old.rows.get(name) != row:
            rows.append([prefix + name, *row])
        if name in new.folders:
            changes(old.folders.get(name), new.folders[name], prefix + name + "/", rows, gone)
    gone.extend(prefix + name for name in old.rows if name not in new.rows)
