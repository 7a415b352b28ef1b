"""What snapshots are kept in, and opening what is looked at: through open directories, and through no link."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat

from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Generator
    from typing import Any

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ID = re.compile(r"[0-9a-f]{32}")


class Store:
    """Contents and directories by their hash, snapshots by their id."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: set[str] = set()
        for name in ("objects", "ids"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
        for name in os.listdir(folder):
            if name.startswith("incoming-"):
                os.unlink(os.path.join(folder, name))

    def path(self, sha256: str) -> str:
        """Return where a content lies."""
        return os.path.join(self._folder, "objects", sha256[:2], sha256)

    def has(self, sha256: str) -> bool:
        """Whether a content is there."""
        if sha256 not in self._known and os.path.exists(self.path(sha256)):
            self._known.add(sha256)
        return sha256 in self._known

    def add(self, data: bytes) -> str:
        """Keep some bytes; return their hash."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.has(sha256):
            with self.incoming() as temporary:
                with open(temporary, "wb") as stream:
                    stream.write(data)
                self.accept(temporary, sha256)
        return sha256

    @contextlib.contextmanager
    def incoming(self) -> Generator[str]:
        """Give a place for a content that is not yet hashed."""
        temporary = os.path.join(self._folder, "incoming-" + os.urandom(8).hex())
        try:
            yield temporary
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def accept(self, temporary: str, sha256: str) -> None:
        """Give a content its name, so that only whole contents have one."""
        place = self.path(sha256)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(temporary, place)
        self._known.add(sha256)

    def load(self, sha256: str) -> Any:
        """Return a directory or snapshot that was kept; raises Refused when it is not what it was."""
        with open(self.path(sha256), "rb") as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Refused("INTERNAL", "the store of snapshots is damaged")
        return json.loads(data)

    def name(self, snapshot_id: str, sha256: str) -> None:
        """Give a snapshot its id."""
        place = os.path.join(self._folder, "ids", snapshot_id)
        with open(place + ".new", "w") as stream:
            stream.write(sha256)
        os.rename(place + ".new", place)

    def named(self, snapshot_id: str) -> Any:
        """Return the snapshot with an id; raises Refused."""
        place = os.path.join(self._folder, "ids", snapshot_id)
        if not _ID.fullmatch(snapshot_id) or not os.path.exists(place):
            raise Refused("NOT_FOUND", "there is no such snapshot in this workspace")
        with open(place) as stream:
            return self.load(stream.read())


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
