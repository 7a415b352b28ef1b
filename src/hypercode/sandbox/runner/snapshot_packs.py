"""Many contents in one file: making thousands of files is most of what a first snapshot would cost.

A pack is the contents one after the other, then where each begins, then how long that list is. It is written under
another name and renamed, so one that has its name is whole; afterwards nothing in it changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib

from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Dict, Tuple

    Places = Dict[str, Tuple[int, int]]

TAIL = 8


class Pack:
    """A pack that is being written."""

    def __init__(self, temporary: str, place: str) -> None:
        self._temporary, self._place = temporary, place
        self._stream = os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
        )
        self.places: Places = {}

    def add(self, sha256: str, data: bytes) -> None:
        """Append a content."""
        self.places[sha256] = (self._stream.tell(), len(data))
        self._stream.write(data)

    def finish(self) -> int:
        """Give the pack its name; return its size."""
        listing = zlib.compress(json.dumps(self.places, separators=(",", ":")).encode(), 1)
        self._stream.write(listing + len(listing).to_bytes(TAIL, "big"))
        size = self._stream.tell()
        self._stream.close()
        os.rename(self._temporary, self._place)
        return size

    def give_up(self) -> None:
        """Leave nothing behind."""
        self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)


def places_of(path: str) -> Places:
    """Return where each content of a pack lies: (offset, length)."""
    try:
        with open(path, "rb") as stream:
            stream.seek(-TAIL, os.SEEK_END)
            length = int.from_bytes(stream.read(TAIL), "big")
            stream.seek(-TAIL - length, os.SEEK_END)
            found = json.loads(zlib.decompress(stream.read(length)))
    except (OSError, ValueError, zlib.error) as failure:
        raise Refused("INTERNAL", "the store of snapshots is damaged") from failure
    return {sha256: (offset, size) for sha256, (offset, size) in found.items()}
