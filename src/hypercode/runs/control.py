"""Signals that reach into a worker: a person's cancel, their decision or answer, the end of a child run.

A signal only says "look": what counts is in the database, so a lost one is found again by the next look.
"""

import asyncio
from collections import defaultdict


class RunControl:
    """One event a run and kind of signal, for the runs that this process works on."""

    def __init__(self) -> None:
        self._cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._children: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._decided: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._closing: set[str] = set()
        self._closed = asyncio.Event()

    def cancelled(self, run_id: str) -> asyncio.Event:
        return self._cancelled[run_id]

    def followed(self) -> list[str]:
        """The runs whose cancel somebody here waits for."""
        return [run_id for run_id, cancelled in self._cancelled.items() if not cancelled.is_set()]

    def child_ended(self, run_id: str) -> asyncio.Event:
        return self._children[run_id]

    def decided(self, run_id: str) -> asyncio.Event:
        return self._decided[run_id]

    def closing(self, run_id: str) -> None:
        """The run writes its end and cleans up: a worker that is told to stop lets it finish that."""
        self._closing.add(run_id)

    async def all_closed(self) -> None:
        while self._closing:
            self._closed.clear()
            await self._closed.wait()

    def forget(self, run_id: str) -> None:
        self._cancelled.pop(run_id, None)
        self._children.pop(run_id, None)
        self._decided.pop(run_id, None)
        self._closing.discard(run_id)
        self._closed.set()
