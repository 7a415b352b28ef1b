"""Length-prefixed JSON frames: 4 bytes big-endian length, then UTF-8 JSON. Standard library only."""

from __future__ import annotations

import json
import os
import struct
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

MAX_FRAME = 192 * 1024 * 1024
HEADER = struct.Struct(">I")


class FrameTooLarge(Exception):
    """The other side announced a frame over the cap; the connection can't go on."""


def read_exactly(fd: int, count: int) -> bytes | None:
    """Return ``count`` bytes of a blocking file descriptor, or None at its end."""
    parts: list[bytes] = []
    while count:
        part = os.read(fd, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    """Write all of ``data`` to a blocking file descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_frame(fd: int) -> dict[str, Any] | None:
    """Return the next frame's object, or None when the other side is gone."""
    header = read_exactly(fd, HEADER.size)
    if header is None:
        return None
    (size,) = HEADER.unpack(header)
    if size > MAX_FRAME:
        raise FrameTooLarge(size)
    body = read_exactly(fd, size)
    return None if body is None else json.loads(body)


class FrameWriter:
    """Writes frames from many threads to one file descriptor, each in one piece."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def send(self, message: dict[str, Any]) -> None:
        """Send one message; a closed connection is silently fine, nobody is left to tell."""
        body = json.dumps(message, separators=(",", ":")).encode()
        with self._lock:
            try:
                write_all(self._fd, HEADER.pack(len(body)) + body)
            except OSError:
                return
