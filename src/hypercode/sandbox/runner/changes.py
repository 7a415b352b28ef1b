"""Changing several files as one: each change is guarded, and when one fails all before it are taken back.

What was there is kept under a name of ours beside its place until the end. A runner that is killed in between
leaves those names (``.hypercode-…``) behind, which no diff shows.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat

from beneath import check_path, explain
from files import decoded, hash_of, parent, present_file, stage, write_lock
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable
    from typing import Any

    from beneath import Root

MAX_CHANGES = 500
_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)


def rename_to_nothing(source: str, from_fd: int, target: str, to_fd: int) -> None:
    """Rename, and fail when the target is there: the kernel looks and renames in one step."""
    done = _libc.renameat2(from_fd, os.fsencode(source), to_fd, os.fsencode(target), _NOREPLACE)
    if done != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def spare_name() -> str:
    """Return a name of ours that nobody has."""
    return ".hypercode-" + os.urandom(8).hex()


class Transaction:
    """What was done so far: how to take it back, and what to tidy up when all of it is done."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._undo: list[Callable[[], None]] = []
        self._tidy: list[Callable[[], None]] = []
        self._fds: list[int] = []

    def folder(self, path: str, create_dirs: bool = False) -> tuple[int, str]:
        """Open the directory of a path until the end; directories made for it go when all is taken back."""
        missing = self._missing(path) if create_dirs else []
        for made in reversed(missing):
            self.undo(lambda made=made: self._remove_folder(made))
        # Undone in reverse: the deepest directory first.
        fd, name = parent(self.root, path, create_dirs)
        self._fds.append(fd)
        return fd, name

    def _missing(self, path: str) -> list[str]:
        """Return the directories above a path that are not there, the deepest first."""
        found: list[str] = []
        folder = path.rpartition("/")[0]
        while folder:
            try:
                os.close(self.root.open_directory(folder, follow=False))
                break
            except Refused as refused:
                if refused.code != "NOT_FOUND":
                    raise
            found.append(folder)
            folder = folder.rpartition("/")[0]
        return found

    def _remove_folder(self, path: str) -> None:
        fd, name = parent(self.root, path, False)
        try:
            os.rmdir(name, dir_fd=fd)
        finally:
            os.close(fd)

    def keep(self, fd: int) -> int:
        """Keep a file descriptor open until the end."""
        self._fds.append(fd)
        return fd

    def undo(self, step: Callable[[], None]) -> None:
        """Say how to take back what comes next."""
        self._undo.append(step)

    def tidy(self, step: Callable[[], None]) -> None:
        """Say what to do when all is done."""
        self._tidy.append(step)

    def finish(self, done: bool) -> None:
        """Tidy up, or take everything back, the last first."""
        for step in self._tidy if done else reversed(self._undo):
            with contextlib.suppress(OSError, Refused):
                step()
        for fd in self._fds:
            os.close(fd)


def change(root: Root, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Make all changes or none; raises Refused naming the one that could not be made."""
    if len(changes) > MAX_CHANGES:
        raise Refused("TOO_LARGE", "more than %d files in one change" % MAX_CHANGES)
    with write_lock:
        transaction = Transaction(root)
        done = False
        try:
            for each in changes:
                path = check_path(each["path"], for_write=True)
                if path == ".":
                    raise Refused("INVALID_ARGUMENT", "the path names the workspace itself")
                try:
                    _ACTIONS[each["action"]](transaction, path, each)
                except OSError as failure:
                    raise explain(failure, path) from failure
            done = True
        finally:
            transaction.finish(done)
    return {"changed": len(changes)}


def _guard(path: str, folder: int, name: str, wanted: str | None) -> None:
    """Compare what stands under a name with the hash that the caller saw; "" is the hash of nothing."""
    if wanted is None:
        return
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = hash_of(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    if wanted == "" or found != wanted:
        raise _conflict(path, "is there already" if wanted == "" else "has other content than expected")


def _conflict(path: str, fact: str) -> Refused:
    return Refused("CONFLICT", "%s %s" % (path, fact), "read it again, then repeat the change")


def _write(transaction: Transaction, path: str, asked: dict[str, Any]) -> None:
    data = decoded(asked["data_b64"])
    folder, name = transaction.folder(path, create_dirs=True)
    present = present_file(path, name, folder)
    wanted: int | None = asked.get("mode")
    mode = (stat.S_IMODE(present.st_mode) if present else 0o644) if wanted is None else wanted
    if present is None:
        if asked.get("if_sha256"):
            raise _conflict(path, "does not exist")
        temporary = stage(folder, data, mode & 0o777)
        try:
            rename_to_nothing(temporary, folder, name, folder)
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise
        transaction.undo(lambda: os.unlink(name, dir_fd=folder))
        return
    kept = spare_name()
    os.link(name, kept, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    transaction.tidy(lambda: os.unlink(kept, dir_fd=folder))
    transaction.undo(lambda: _put_back(folder, kept, name))
    # What is looked at is what is kept: nobody can change which file that name stands for in between.
    _guard(path, folder, kept, asked.get("if_sha256"))
    temporary = stage(folder, data, mode & 0o777)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _put_back(folder: int, kept: str, name: str) -> None:
    os.rename(kept, name, src_dir_fd=folder, dst_dir_fd=folder)
    # Renaming one of two names of the same file onto the other does nothing, so the spare name may be left.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(kept, dir_fd=folder)


def _delete(transaction: Transaction, path: str, asked: dict[str, Any]) -> None:
    folder, name = transaction.folder(path)
    if present_file(path, name, folder) is None:
        raise Refused("NOT_FOUND", "no such file or directory: " + path)
    kept = spare_name()
    os.rename(name, kept, src_dir_fd=folder, dst_dir_fd=folder)
    transaction.undo(lambda: rename_to_nothing(kept, folder, name, folder))
    transaction.tidy(lambda: os.unlink(kept, dir_fd=folder))
    _guard(path, folder, kept, asked.get("if_sha256"))


def _rename(transaction: Transaction, path: str, asked: dict[str, Any]) -> None:
    target = check_path(asked["target"], for_write=True)
    folder, name = transaction.folder(path)
    if present_file(path, name, folder) is None:
        raise Refused("NOT_FOUND", "no such file or directory: " + path)
    to, new_name = transaction.folder(target, create_dirs=True)
    rename_to_nothing(name, folder, new_name, to)
    transaction.undo(lambda: rename_to_nothing(new_name, to, name, folder))
    _guard(path, to, new_name, asked.get("if_sha256"))


def _mode(transaction: Transaction, path: str, asked: dict[str, Any]) -> None:
    folder, name = transaction.folder(path)
    if present_file(path, name, folder) is None:
        raise Refused("NOT_FOUND", "no such file or directory: " + path)
    fd = transaction.keep(
        os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    )
    _guard(path, folder, name, asked.get("if_sha256"))
    before = stat.S_IMODE(os.fstat(fd).st_mode)
    transaction.undo(lambda: os.fchmod(fd, before))
    os.fchmod(fd, asked["mode"] & 0o777)


_ACTIONS: dict[str, Callable[[Transaction, str, dict[str, Any]], None]] = {
    "write": _write,
    "delete": _delete,
    "rename": _rename,
    "mode": _mode,
}
