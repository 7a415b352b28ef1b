"""Output that outlives the request that asked for it: the newest bytes of a stream, by their true offsets."""

from __future__ import annotations

import threading
import time

from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable

LIMIT = 2 * 1024 * 1024


class Log:
    """A bounded stream that several may read while one writes; offsets count from the stream's first byte."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._changed = threading.Condition()
        self.total = 0
        self.ended = False

    @property
    def start(self) -> int:
        """The offset of the first byte that is still there."""
        return self.total - len(self._kept)

    def add(self, data: bytes) -> None:
        """Take more of the stream; the oldest bytes go when it is too much."""
        with self._changed:
            self.total += len(data)
            self._kept += data
            # Cut at once and a half, so that not every piece moves all that is kept.
            if len(self._kept) > self._limit + self._limit // 2:
                del self._kept[: -self._limit]
            self._changed.notify_all()

    def end(self) -> None:
        """Say that nothing more will come."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Have everyone who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def wait(self, seconds: float, enough: Callable[[], bool]) -> None:
        """Wait until ``enough`` holds or the time is over; it is asked again at every change."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not enough():
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def part(self, offset: int | None, limit: int) -> tuple[int, bytes]:
        """Return (true offset, bytes) from ``offset`` on, or from what is left; None means the end."""
        with self._changed:
            if offset is None:
                offset = max(self.start, self.total - limit)
            if offset > self.total:
                raise Refused("INVALID_ARGUMENT", "the output has %d bytes so far" % self.total)
            first = max(offset, self.start)
            begin = first - self.start
            return first, bytes(self._kept[begin : begin + limit])
