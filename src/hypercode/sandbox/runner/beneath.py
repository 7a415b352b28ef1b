"""Opening paths that can't leave the workspace: openat2 with RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS.

The kernel resolves and opens in one step, so no symbolic link swapped in between can win a race.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from refusals import Refused

_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_TRIES = 16
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def check_path(path: object, for_write: bool = False) -> str:
    """Return ``path`` without slashes at its ends; raises Refused for what no caller has a right to name."""
    if not isinstance(path, str):
        raise Refused("INVALID_ARGUMENT", "a path must be text")
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise Refused("INVALID_ARGUMENT", "the path holds control characters")
    if len(path.encode("utf-8", "surrogatepass")) > 4096:
        raise Refused("INVALID_ARGUMENT", "the path is longer than 4096 bytes")
    if path.startswith("/workspace/") or path == "/workspace":
        path = path[len("/workspace") :].lstrip("/")
    if path.startswith("/"):
        raise Refused("PATH_OUTSIDE", "absolute paths outside the workspace are refused: " + path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused("PATH_OUTSIDE", "'..' is refused in paths: " + path)
    if for_write and any(part.casefold() == ".git" for part in parts):
        raise Refused("POLICY_DENIED", ".git belongs to the platform and can't be written")
    return "/".join(parts) or "."


def _explain(error: int, path: str) -> Refused:
    if error in (errno.EXDEV, errno.ELOOP):
        return Refused("PATH_OUTSIDE", "the path leaves the workspace: " + path)
    if error in (errno.ENOENT, errno.ENOTDIR):
        return Refused("NOT_FOUND", "no such file or directory: " + path)
    if error == errno.EEXIST:
        return Refused("CONFLICT", "exists already: " + path)
    if error == errno.EISDIR:
        return Refused("INVALID_ARGUMENT", "is a directory: " + path)
    if error == errno.ENOSPC:
        return Refused("TOO_LARGE", "no space left on the sandbox's disk")
    if error == errno.ENOSYS:
        return Refused("SANDBOX_DOWN", "the kernel has no openat2", "use Linux 5.6 or newer")
    return Refused("INVALID_ARGUMENT", "%s: %s" % (os.strerror(error), path))


def explain(failure: OSError, path: str) -> Refused:
    """Return the Refused that an OSError about ``path`` means."""
    return _explain(failure.errno or 0, path)


class Root:
    """A directory that everything is opened beneath."""

    def __init__(self, directory: str) -> None:
        self._fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: str, flags: int, follow: bool = True) -> int:
        """Return a file descriptor of ``path`` beneath the root; raises Refused."""
        resolve = _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS | (0 if follow else _RESOLVE_NO_SYMLINKS)
        how = _OpenHow(flags | os.O_CLOEXEC | os.O_NOCTTY, 0, resolve)
        name = os.fsencode(path)
        error = 0
        for _ in range(_TRIES):
            fd: int = _libc.syscall(_SYS_OPENAT2, self._fd, name, ctypes.byref(how), ctypes.sizeof(how))
            if fd >= 0:
                return fd
            error = ctypes.get_errno()
            if error not in (errno.EAGAIN, errno.EINTR):
                break
        if error == errno.ELOOP and not follow:
            raise Refused(
                "PATH_OUTSIDE",
                "a symbolic link is in the way: " + path,
                "name the directory that it leads to",
            )
        raise _explain(error, path)

    def open_directory(self, path: str, follow: bool = True) -> int:
        """Return a file descriptor of a directory beneath the root; not ``follow``: through no symbolic link."""
        return self.open(path, os.O_RDONLY | os.O_DIRECTORY, follow)

    def open_regular(self, path: str) -> tuple[int, os.stat_result]:
        """Return (fd, stat) of a regular file; a FIFO or device is refused without blocking on it."""
        fd = self.open(path, os.O_RDONLY | os.O_NONBLOCK)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise Refused("INVALID_ARGUMENT", "is %s: %s" % (kind, path))
        return fd, status
