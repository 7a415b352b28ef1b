"""Signals that reach into a worker: a person's cancel, their decision or answer, the end of a child run.

A signal only says "look": what counts is in the database, so a lost one is found again by the next look.
"""

import asyncio
from collections import Counter, defaultdict


class RunControl:
    """One event a run and kind of signal, for the runs that this process works on."""

    def __init__(self) -> None:
        self._cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._children: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._decided: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._closing: set[str] = set()
        self._closed = asyncio.Event()
        self._at_work: Counter[str] = Counter()
        self._resting: set[str] = set()
        self.lost = asyncio.Event()
        """Set when this worker's lease is over."""
        self.queued = asyncio.Event()
        """Set when the queue is worth a look: a run was put there, or this worker has room again."""

    def begun(self, run_id: str) -> None:
        """The run takes one of this worker's places until it is ``ended`` here, except while it rests."""
        self._at_work[run_id] += 1

    def ended(self, run_id: str) -> None:
        self._at_work -= Counter({run_id: 1})
        self.queued.set()

    def rests(self, run_id: str) -> None:
        """The run waits for somebody and takes no place."""
        self._resting.add(run_id)
        self.queued.set()

    def goes_on(self, run_id: str) -> None:
        self._resting.discard(run_id)

    def number_at_work(self) -> int:
        return len(self._at_work.keys() - self._resting)

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
        self._resting.discard(run_id)
        self._closing.discard(run_id)
        self._closed.set()
