"""Snapshots of the whole workspace, and bringing one back. Runs in the helper, whose gitdir is writable.

The store lies in the gitdir's volume, where no agent can write: contents and directories under their sha256, a
snapshot under a random id. Everything is in it: ignored files, empty directories, modes, links, times, nested
repositories. Left out are sockets and devices; two hard links of a file come back as two files.

A file whose size, times and inode are those of the last time is not read again. What was looked at lies in memory
only: a helper that was started anew reads everything once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import threading
import time

from refusals import Refused
from snapshot_store import FOLDER, Store, entered, opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from beneath import Root

    Row = list[Any]

STORE = "/gitdir/hypercode-snapshots"
MAX_ENTRIES = 500_000
MAX_BYTES = 8 << 30
MAX_DEPTH = 200
# A file may be changed twice within one tick of the disk's clock: what is this young is read again next time.
YOUNG_NS = 50_000_000
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_lock = threading.Lock()


class Scan:
    """One look at the whole workspace. ``seen`` is what the last one knew of each file, by device and inode."""

    def __init__(self, store: Store, seen: dict[str, tuple[tuple[int, ...], str]]) -> None:
        self._store = store
        self._seen = seen
        self._began = time.time_ns()
        self.now: dict[str, tuple[tuple[int, ...], str]] = {}
        self.entries = 0
        self.bytes = 0
        self.read = 0
        self.left_out = 0

    def folder(self, fd: int, path: str) -> str:
        """Keep a directory and everything below; return its hash."""
        if path.count("/") > MAX_DEPTH:
            raise Refused("TOO_LARGE", "directories are nested deeper than %d" % MAX_DEPTH)
        rows: list[Row] = []
        for name in sorted(os.listdir(fd)):
            if name.startswith(".hypercode-"):
                continue
            row = self._entry(fd, name, path + "/" + name)
            if row is not None:
                rows.append(row)
        return self._store.add(json.dumps(rows, separators=(",", ":")).encode())

    def _entry(self, folder: int, name: str, path: str) -> Row | None:
        """Return [name, kind, mode, mtime, hash or target, size] of one entry; None for what is left out."""
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                with entered(name, folder, status) as fd:
                    kept, kind = self.folder(fd, path), "dir"
            elif stat.S_ISLNK(status.st_mode):
                kept, kind = os.readlink(name, dir_fd=folder), "link"
            elif stat.S_ISREG(status.st_mode):
                kept, kind = self._file(folder, name, path, status), "file"
            elif stat.S_ISFIFO(status.st_mode):
                kept, kind = "", "fifo"
            else:
                self.left_out += 1
                return None
        except FileNotFoundError:
            return None
        size = status.st_size if kind == "file" else 0
        self._count(size)
        if kind == "fifo":
            return [name, kind, 0, 0, kept, 0]
        return [name, kind, stat.S_IMODE(status.st_mode), status.st_mtime_ns, kept, size]

    def _count(self, size: int) -> None:
        self.entries += 1
        self.bytes += size
        if self.entries > MAX_ENTRIES or self.bytes > MAX_BYTES:
            raise Refused("TOO_LARGE", "the workspace is larger than a snapshot may be")

    def _file(self, folder: int, name: str, path: str, status: os.stat_result) -> str:
        facts = _facts(status)
        seen = self._seen.get(path)
        if seen is not None and seen[0] == facts and self._store.has(seen[1]):
            self.now[path] = seen
            return seen[1]
        fd = opened(name, folder, _FILE, status)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise FileNotFoundError(path)
            sha256 = self._content(fd)
            same = _facts(os.fstat(fd)) == facts
        finally:
            os.close(fd)
        if same and self._began - max(status.st_mtime_ns, status.st_ctime_ns) > YOUNG_NS:
            self.now[path] = (facts, sha256)
        return sha256

    def _content(self, fd: int) -> str:
        self.read += 1
        digest = hashlib.sha256()
        size = os.fstat(fd).st_size
        if size <= 1 << 20:
            return self._store.add(_read_whole(fd))
        with self._store.incoming() as temporary:
            with open(temporary, "wb") as stream:
                while True:
                    part = os.read(fd, 1 << 20)
                    if not part:
                        break
                    digest.update(part)
                    stream.write(part)
            if not self._store.has(digest.hexdigest()):
                self._store.accept(temporary, digest.hexdigest())
        return digest.hexdigest()


def _read_whole(fd: int) -> bytes:
    parts: list[bytes] = []
    while True:
        part = os.read(fd, 1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def _facts(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns, status.st_mode)


_state: dict[str, Any] = {}


def _store() -> Store:
    if "store" not in _state:
        try:
            _state["store"] = Store(STORE)
        except OSError as failure:
            raise Refused("INVALID_ARGUMENT", "snapshots are taken in a helper only") from failure
    store: Store = _state["store"]
    return store


def _scan(root: Root) -> tuple[Scan, str]:
    scan = Scan(_store(), _state.get("seen", {}))
    fd = root.open_directory(".", follow=False)
    try:
        top = scan.folder(fd, "")
    except OSError as failure:
        raise Refused("INTERNAL", "the workspace can't be read: %s" % failure) from failure
    finally:
        os.close(fd)
    _state["seen"] = scan.now
    return scan, top


def take(root: Root, label: str) -> dict[str, Any]:
    """Keep the workspace as it is now; return the snapshot's id."""
    with _lock:
        return _taken(root, label)


def _taken(root: Root, label: str) -> dict[str, Any]:
    scan, top = _scan(root)
    snapshot_id = os.urandom(16).hex()
    body = {"label": label, "top": top, "at": time.time(), "entries": scan.entries, "bytes": scan.bytes}
    _store().name(snapshot_id, _store().add(json.dumps(body).encode()))
    return {
        "snapshot_id": snapshot_id,
        "entries": scan.entries,
        "bytes": scan.bytes,
        "read": scan.read,
        "left_out": scan.left_out,
    }


def restore(root: Root, snapshot_id: str) -> dict[str, Any]:
    """Make the workspace what it was. First a snapshot is taken, so that this can be undone."""
    with _lock:
        store = _store()
        wanted: str = store.named(snapshot_id)["top"]
        _check_whole(store, wanted)
        before = _taken(root, "before restoring " + snapshot_id)
        now: str = store.named(before["snapshot_id"])["top"]
        restoring = Restoring(store)
        fd = root.open_directory(".", follow=False)
        try:
            restoring.folder(fd, now, wanted)
        except OSError as failure:
            raise Refused(
                "INTERNAL",
                "the workspace could be restored in part only: %s" % failure,
                "restore %s to have it as it was before" % before["snapshot_id"],
            ) from failure
        finally:
            os.close(fd)
        return {"undo_id": before["snapshot_id"], "changed": restoring.changed}


def _check_whole(store: Store, sha256: str) -> None:
    """Look that everything is there before anything is touched."""
    for _name, kind, _mode, _mtime, kept, _size in store.load(sha256):
        if kind == "dir":
            _check_whole(store, kept)
        elif kind == "file" and not store.has(kept):
            raise Refused("INTERNAL", "the store of snapshots is damaged")


class Restoring:
    """Makes directories what they were, through open directories only: an agent's link leads nowhere."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.changed = 0

    def folder(self, fd: int, now: str | None, wanted: str) -> None:
        """Make one directory as wanted; ``now`` is the hash of what it was a moment ago."""
        if now == wanted:
            return
        there_now: list[Row] = self._store.load(now) if now else []
        present: dict[str, Row] = {row[0]: row for row in there_now}
        rows: list[Row] = self._store.load(wanted)
        for name in set(os.listdir(fd)) - {row[0] for row in rows}:
            if not name.startswith(".hypercode-"):
                self._remove(fd, name)
        for row in rows:
            there = present.get(row[0])
            if there != row:
                self._entry(fd, row, there)

    def _entry(self, folder: int, row: Row, there: Row | None) -> None:
        name, kind, mode, mtime, kept, _size = row
        if there is not None and (there[1] != kind or kind in ("link", "fifo")):
            self._remove(folder, name)
            there = None
        if kind == "dir":
            self._directory(folder, row, there)
            return
        self.changed += 1
        if kind == "link":
            self._free(folder, name)
            os.symlink(kept, name, dir_fd=folder)
            os.utime(name, ns=(mtime, mtime), dir_fd=folder, follow_symlinks=False)
        elif kind == "fifo":
            self._free(folder, name)
            os.mkfifo(name, 0o600, dir_fd=folder)
        else:
            self._file(folder, name, kept, mode, mtime)

    def _directory(self, folder: int, row: Row, there: Row | None) -> None:
        name, _kind, mode, mtime, kept, _size = row
        if there is None:
            self._free(folder, name)
            os.mkdir(name, 0o700, dir_fd=folder)
            self.changed += 1
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        with entered(name, folder, status) as fd:
            self.folder(fd, there[4] if there else None, kept)
            os.utime(fd, ns=(mtime, mtime))
        fd = opened(name, folder, FOLDER, status)
        try:
            os.fchmod(fd, mode)
        finally:
            os.close(fd)

    def _file(self, folder: int, name: str, sha256: str, mode: int, mtime: int) -> None:
        temporary = ".hypercode-" + os.urandom(8).hex()
        out = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            try:
                self._copy(sha256, out)
                os.fchmod(out, mode)
                os.utime(out, ns=(mtime, mtime))
            finally:
                os.close(out)
            if self._is_folder(folder, name):
                self._remove(folder, name)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except (OSError, Refused):
            os.unlink(temporary, dir_fd=folder)
            raise

    def _copy(self, sha256: str, out: int) -> None:
        digest = hashlib.sha256()
        with open(self._store.path(sha256), "rb") as stream:
            for part in iter(lambda: stream.read(1 << 20), b""):
                digest.update(part)
                view = memoryview(part)
                while view:
                    view = view[os.write(out, view) :]
        if digest.hexdigest() != sha256:
            raise Refused("INTERNAL", "the store of snapshots is damaged")

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
