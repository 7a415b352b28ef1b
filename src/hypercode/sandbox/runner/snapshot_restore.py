"""Makes a work tree what a snapshot says, through open directories only: an agent's link leads nowhere."""

from __future__ import annotations

import contextlib
import os
import stat

from refusals import Refused
from snapshot_open import FOLDER, entered, opened
from snapshot_scan import OURS
from snapshot_store import DAMAGED
from snapshot_tree import DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from snapshot_store import Store
    from snapshot_tree import Folder, Row


def check_whole(store: Store, tree: Folder) -> None:
    """Look that everything is there before anything is touched; raises Refused."""
    for _path, row in tree.walk():
        if row[0] == "file" and not (store.has(row[3]) and all(map(store.has, store.pieces(row[3])))):
            raise Refused("INTERNAL", DAMAGED)


class Restoring:
    """Restores directories; ``changed`` counts what was written or removed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.changed = 0

    def folder(self, fd: int, now: Folder | None, wanted: Folder) -> None:
        """Make one directory as wanted; ``now`` is what it was a moment ago."""
        if now is not None and now.sha256 == wanted.sha256:
            return
        present = now.rows if now is not None else {}
        for name in set(os.listdir(fd)) - set(wanted.rows):
            if not name.startswith(OURS):
                self._remove(fd, name)
        for name, row in wanted.rows.items():
            there = present.get(name)
            if there == row:
                continue
            if there is not None and (there[0] != row[0] or row[0] in ("link", "fifo")):
                self._remove(fd, name)
                there = None
            if row[0] == DIRECTORY:
                before = now.folders[name] if now is not None and there is not None else None
                self._directory(fd, name, row, before, wanted.folders[name])
            else:
                self._plain(fd, name, row)

    def _plain(self, folder: int, name: str, row: Row) -> None:
        kind, _mode, mtime, kept, _size = row
        self.changed += 1
        if kind == "link":
            self._free(folder, name)
            os.symlink(kept, name, dir_fd=folder)
            os.utime(name, ns=(mtime, mtime), dir_fd=folder, follow_symlinks=False)
        elif kind == "fifo":
            self._free(folder, name)
            _make_fifo(folder, name, row)
        else:
            self._file(folder, name, row)

    def _directory(self, folder: int, name: str, row: Row, now: Folder | None, wanted: Folder) -> None:
        if now is None:
            self._free(folder, name)
            os.mkdir(name, 0o700, dir_fd=folder)
            self.changed += 1
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        with entered(name, folder, status) as fd:
            self.folder(fd, now, wanted)
            os.utime(fd, ns=(row[2], row[2]))
        fd = opened(name, folder, FOLDER, status)
        try:
            os.fchmod(fd, row[1])
        finally:
            os.close(fd)

    def _file(self, folder: int, name: str, row: Row) -> None:
        temporary = OURS + os.urandom(8).hex()
        out = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            try:
                for part in self._store.content(row[3]):
                    view = memoryview(part)
                    while view:
                        view = view[os.write(out, view) :]
                os.fchmod(out, row[1])
                os.utime(out, ns=(row[2], row[2]))
            finally:
                os.close(out)
            if self._is_folder(folder, name):
                self._remove(folder, name)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except (OSError, Refused):
            os.unlink(temporary, dir_fd=folder)
            raise

    def _free(self, folder: int, name: str) -> None:
        """Make room for what comes: a process may have put something there just now."""
        with contextlib.suppress(FileNotFoundError):
            self._remove(folder, name)

    def _is_folder(self, folder: int, name: str) -> bool:
        try:
            return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            return False

    def _remove(self, folder: int, name: str) -> None:
        self.changed += 1
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=folder)
            return
        with entered(name, folder, status) as fd:
            for child in os.listdir(fd):
                self._remove(fd, child)
        os.rmdir(name, dir_fd=folder)


def _make_fifo(folder: int, name: str, row: Row) -> None:
    os.mkfifo(name, 0o600, dir_fd=folder)
    # Never opened to be used: that would wait for who is at its other end.
    pin = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISFIFO(os.fstat(pin).st_mode):
            os.chmod("/proc/self/fd/%d" % pin, row[1])
            os.utime("/proc/self/fd/%d" % pin, ns=(row[2], row[2]))
    finally:
        os.close(pin)
