"""Where one watcher stands in a run: a cursor, and nothing that grows."""

import asyncio
from collections.abc import Awaitable, Callable

from hypercode.domain.delta import Delta
from hypercode.events.line import Line
from hypercode.events.tail import Tail

AT_ONCE = 100
"""Events that a watcher is handed at a time, and so what one holds that does not read on."""
Read = Callable[[int, int], Awaitable[list[Line]]]


class FellBehind(Exception):
    """A watcher was too slow for what is kept of a run; it must start again from its cursor."""


class Place:
    """Read by one watcher. Events come from the log until the tail reaches back far enough, then from the tail."""

    def __init__(self, tail: Tail, read: Read, after: int) -> None:
        self.cursor = after
        self.woken = asyncio.Event()
        self._tail = tail
        self._read = read
        self._follows = False
        self._attempt = ""
        self._heard = 0

    async def take(self, wait_s: float | None) -> list[Line | Delta]:
        """Return what is new, in order, at once or as soon as there is something; nothing when the wait is over.

        Raises FellBehind when events were forgotten that this watcher has not taken yet.
        """
        loop = asyncio.get_running_loop()
        until = None if wait_s is None else loop.time() + wait_s
        while True:
            self.woken.clear()
            if news := await self._news():
                return news
            try:
                async with asyncio.timeout_at(until):
                    await self.woken.wait()
            except TimeoutError:
                return []

    async def _news(self) -> list[Line | Delta]:
        lines = await self._lines()
        if lines:
            self.cursor = lines[-1].seq
        return [*lines, *self._deltas()] if self._follows else list(lines)

    async def _lines(self) -> list[Line]:
        start = self._tail.start
        if start is not None and self.cursor >= start:
            self._follows = True
            return self._tail.since(self.cursor, AT_ONCE)
        if self._follows:
            raise FellBehind(self._tail.run_id)
        return await self._read(self.cursor, AT_ONCE)

    def _deltas(self) -> list[Delta]:
        """What was said since the last time, as one piece: a slow watcher gets fewer and longer ones."""
        said = self._tail.said
        if said is None or (said.attempt == self._attempt and said.end == self._heard):
            return []
        delta = said.since(self._tail.run_id, self._heard if said.attempt == self._attempt else 0)
        self._attempt, self._heard = said.attempt, said.end
        return [delta]
