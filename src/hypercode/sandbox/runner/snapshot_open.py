"""Opening what is looked at: through open directories, through no link, also where its owner may not read."""

from __future__ import annotations

import contextlib
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Generator

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def opened(name: str, folder: int, flags: int, status: os.stat_result) -> int:
    """Open what is there, also when its owner may not read it: then for a moment it may."""
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError:
        pin = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if stat.S_ISLNK(os.fstat(pin).st_mode):
            raise FileNotFoundError(name)
        itself = "/proc/self/fd/%d" % pin
        mode = stat.S_IMODE(status.st_mode)
        os.chmod(itself, mode | 0o700)
        try:
            return os.open(itself, flags & ~os.O_NOFOLLOW)
        finally:
            os.chmod(itself, mode)
    finally:
        os.close(pin)


@contextlib.contextmanager
def entered(name: str, folder: int, status: os.stat_result) -> Generator[int]:
    """Open a directory; while it is open its owner may enter it."""
    fd = opened(name, folder, FOLDER, status)
    mode = stat.S_IMODE(status.st_mode)
    closed = mode & 0o700 != 0o700
    try:
        if closed:
            os.fchmod(fd, mode | 0o700)
        yield fd
        if closed:
            os.fchmod(fd, mode)
    finally:
        os.close(fd)
