"""Reading, writing and listing files of the workspace."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
import threading

from beneath import check_path, explain
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from beneath import Root

MAX_READ = 16 * 1024 * 1024
MAX_HASHED = 16 * 1024 * 1024
MAX_WRITE = 64 * 1024 * 1024
write_lock = threading.Lock()
"""Held while something is written, so that a guard still holds when its write comes."""


def hash_of(fd: int, size: int) -> str:
    """Return the sha256 of a file, or nothing when it is too large to be hashed."""
    if size > MAX_HASHED:
        return ""
    digest = hashlib.sha256()
    offset = 0
    while True:
        part = os.pread(fd, 1 << 20, offset)
        if not part:
            return digest.hexdigest()
        digest.update(part)
        offset += len(part)
        if offset > MAX_HASHED:
            return ""


def read(root: Root, path: str, offset: int, limit: int) -> dict[str, Any]:
    """Return a part of a regular file with its size and hash."""
    path = check_path(path)
    if offset < 0 or limit < 0:
        raise Refused("INVALID_ARGUMENT", "offset and limit must not be negative")
    fd, status = root.open_regular(path)
    try:
        data = os.pread(fd, min(limit, MAX_READ), offset)
        digest = hash_of(fd, status.st_size)
    finally:
        os.close(fd)
    return {
        "data_b64": base64.b64encode(data).decode(),
        "size": status.st_size,
        "sha256": digest,
        "mode": stat.S_IMODE(status.st_mode),
    }


def parent(root: Root, path: str, create_dirs: bool) -> tuple[int, str]:
    """Return (fd, name): the directory that a path to be written is in, and its name there.

    No symbolic link is followed on the way, so what is written is what the rules were asked about.
    """
    folder, _, name = path.rpartition("/")
    if create_dirs and folder:
        made = ""
        for part in folder.split("/"):
            above = root.open_directory(made or ".", follow=False)
            try:
                os.mkdir(part, 0o755, dir_fd=above)
            except FileExistsError:
                pass
            except OSError as failure:
                raise explain(failure, path) from failure
            finally:
                os.close(above)
            made = made + "/" + part if made else part
    return root.open_directory(folder or ".", follow=False), name


def present_file(path: str, name: str, folder: int) -> os.stat_result | None:
    """Return the stat of what is there now, or None; raises Refused for what must not be replaced."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise Refused("INVALID_ARGUMENT", "is a symbolic link, write to its target instead: " + path)
    if not stat.S_ISREG(status.st_mode):
        raise Refused("INVALID_ARGUMENT", "is not a regular file: " + path)
    if status.st_nlink > 1:
        raise Refused("POLICY_DENIED", "has more than one name (hard links), not written: " + path)
    return status


def _check_guard(root: Root, path: str, present: os.stat_result | None, if_sha256: str | None) -> None:
    if if_sha256 is None:
        return
    if present is None:
        found = ""
    else:
        fd, status = root.open_regular(path)
        try:
            found = hash_of(fd, status.st_size)
        finally:
            os.close(fd)
    # A file that is too large to be hashed has no hash, which is not the same as not being there.
    if found != if_sha256 or (present is not None and if_sha256 == ""):
        fact = "does not exist" if present is None else "has other content than expected"
        raise Refused("CONFLICT", "%s %s" % (path, fact), "read it again, then repeat the change")


def stage(folder: int, data: bytes, mode: int) -> str:
    """Write a file under a name of ours beside its place; return that name."""
    temporary = ".hypercode-" + os.urandom(8).hex()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
        finally:
            os.close(fd)
    except OSError:
        os.unlink(temporary, dir_fd=folder)
        raise
    return temporary


def _replace(folder: int, name: str, data: bytes, mode: int) -> None:
    temporary = stage(folder, data, mode)
    try:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(temporary, dir_fd=folder)
        raise


def decoded(data_b64: str) -> bytes:
    """Return the bytes of a write; raises Refused."""
    try:
        data = base64.b64decode(data_b64, validate=True)
    except (binascii.Error, ValueError) as failure:
        raise Refused("INVALID_ARGUMENT", "data_b64 is not base64") from failure
    if len(data) > MAX_WRITE:
        raise Refused("TOO_LARGE", "more than 64 MiB in one write")
    return data


def write(
    root: Root,
    path: str,
    data_b64: str,
    create_dirs: bool = False,
    if_sha256: str | None = None,
    mode: int | None = None,
) -> dict[str, Any]:
    """Replace a whole file atomically, guarded by the hash of what is there."""
    path = check_path(path, for_write=True)
    if path == ".":
        raise Refused("INVALID_ARGUMENT", "the path names the workspace itself")
    data = decoded(data_b64)
    with write_lock:
        folder, name = parent(root, path, create_dirs)
        try:
            present = present_file(path, name, folder)
            _check_guard(root, path, present, if_sha256)
            kept = stat.S_IMODE(present.st_mode) if present else 0o644
            _replace(folder, name, data, (kept if mode is None else mode) & 0o777)
        except OSError as failure:
            raise explain(failure, path) from failure
        finally:
            os.close(folder)
    return {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def reports(folder: str, limit: int) -> dict[str, Any]:
    """Return the regular files directly in a folder as text, together at most ``limit`` bytes."""
    found: dict[str, str] = {}
    try:
        names = sorted(os.listdir(folder))[:64]
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return {"files": found}
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        for name in names:
            try:
                fd = os.open(name, flags, dir_fd=directory)
            except OSError:
                continue
            with os.fdopen(fd, "rb") as stream:
                status = os.fstat(fd)
                if stat.S_ISREG(status.st_mode) and status.st_size <= limit:
                    data = stream.read(limit)
                    limit -= len(data)
                    found[os.fsencode(name).decode("utf-8", "replace")] = data.decode("utf-8", "replace")
    finally:
        os.close(directory)
    return {"files": found}
