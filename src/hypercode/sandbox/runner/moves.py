"""Moving and deleting files and whole directories, through open directories only: no path is resolved twice."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from beneath import check_path, explain
from changes import Transaction, rename_to_nothing, spare_name
from files import parent, write_lock
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from beneath import Root

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROUNDS = 3


def _writable(path: object) -> str:
    checked = check_path(path, for_write=True)
    if checked == ".":
        raise Refused("INVALID_ARGUMENT", "the path names the workspace itself")
    return checked


def move(root: Root, source: str, target: str) -> dict[str, Any]:
    """Rename a file, link or directory; the target must not exist, directories above it are made."""
    source, target = _writable(source), _writable(target)
    with write_lock:
        transaction = Transaction(root)
        done = False
        try:
            here, name = transaction.folder(source)
            _kind_of(here, name, source)
            there, new_name = transaction.folder(target, create_dirs=True)
            rename_to_nothing(name, here, new_name, there)
            done = True
        except FileExistsError as failure:
            raise explain(failure, target) from failure
        except OSError as failure:
            raise explain(failure, source) from failure
        finally:
            transaction.finish(done)
    return {"moved": 1}


def _kind_of(folder: int, name: str, path: str) -> os.stat_result:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError as failure:
        raise explain(failure, path) from failure


def delete(root: Root, path: str, recursive: bool) -> dict[str, Any]:
    """Delete a file or a link itself, an empty directory, or with ``recursive`` everything below one."""
    path = _writable(path)
    with write_lock:
        folder, name = parent(root, path, False)
        try:
            status = _kind_of(folder, name, path)
            if not stat.S_ISDIR(status.st_mode):
                os.unlink(name, dir_fd=folder)
                return {"deleted": 1}
            if recursive:
                return {"deleted": _delete_tree(folder, name, path)}
            os.rmdir(name, dir_fd=folder)
            return {"deleted": 1}
        except OSError as failure:
            if failure.errno == errno.ENOTEMPTY:
                raise Refused(
                    "CONFLICT", "is a directory with something in it: " + path, "set recursive to delete it"
                ) from failure
            raise explain(failure, path) from failure
        finally:
            os.close(folder)


def _delete_tree(folder: int, name: str, path: str) -> int:
    """Take a directory out of its place in one step, then delete what is in it."""
    kept = spare_name()
    os.rename(name, kept, src_dir_fd=folder, dst_dir_fd=folder)
    count = 0
    try:
        for _ in range(_ROUNDS):
            top = os.open(kept, _FOLDER, dir_fd=folder)
            try:
                count += _empty(top)
            finally:
                os.close(top)
            with contextlib.suppress(OSError):
                os.rmdir(kept, dir_fd=folder)
                return count + 1
        raise Refused("CONFLICT", "was written to while it was deleted: " + path, "try again")
    except (OSError, Refused):
        # What could not be deleted is not hidden under a name of ours.
        with contextlib.suppress(OSError):
            rename_to_nothing(kept, folder, name, folder)
        raise


def _empty(top: int) -> int:
    """Delete everything in a directory. Each directory below is first moved up into it, so no depth matters."""
    names = os.listdir(top)
    count = len(names)
    waiting = [name for name in names if _unlinked(name, top)]
    while waiting:
        name = waiting.pop()
        fd = os.open(name, _FOLDER, dir_fd=top)
        try:
            for child in os.listdir(fd):
                count += 1
                if _unlinked(child, fd):
                    spare = spare_name()
                    os.rename(child, spare, src_dir_fd=fd, dst_dir_fd=top)
                    waiting.append(spare)
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top)
    return count


def _unlinked(name: str, folder: int) -> bool:
    """Delete what is no directory; return whether it is one."""
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return True
    os.unlink(name, dir_fd=folder)
    return False
