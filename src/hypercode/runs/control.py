"""Signals that reach into a worker: what people tell a run, their decision or answer, the end of a child run.

A signal only says "look": what counts is in the database, so a lost one is found again by the next look.
"""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from hypercode.store.steering import Wanted


@dataclass
class _Signals:
    """Those of one run. The last three hold only while their command waits; a look sets and clears them."""

    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    child_ended: asyncio.Event = field(default_factory=asyncio.Event)
    decided: asyncio.Event = field(default_factory=asyncio.Event)
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    rewound: asyncio.Event = field(default_factory=asyncio.Event)


class RunControl:
    """The signals of the runs that this process works on."""

    def __init__(self) -> None:
        self._signals: defaultdict[str, _Signals] = defaultdict(_Signals)
        self._followed: set[str] = set()
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

    def follow(self, run_id: str) -> None:
        """A worker takes the run up here: from now on it is looked at."""
        self._followed.add(run_id)

    def followed(self) -> list[str]:
        return list(self._followed)

    def follows(self, run_id: str) -> bool:
        return run_id in self._followed

    def cancelled(self, run_id: str) -> asyncio.Event:
        return self._signals[run_id].cancelled

    def child_ended(self, run_id: str) -> asyncio.Event:
        return self._signals[run_id].child_ended

    def decided(self, run_id: str) -> asyncio.Event:
        return self._signals[run_id].decided

    def paused(self, run_id: str) -> asyncio.Event:
        return self._signals[run_id].paused

    def interrupted(self, run_id: str) -> asyncio.Event:
        return self._signals[run_id].interrupted

    def rewound(self, run_id: str) -> asyncio.Event:
        return self._signals[run_id].rewound

    def held(self, run_id: str) -> bool:
        """True when the run is to leave its worker: it is paused, or goes on from another point."""
        signals = self._signals[run_id]
        return signals.paused.is_set() or signals.rewound.is_set()

    def settled(self, run_id: str, *, cancelled: bool) -> None:
        """What was to hold the run does not hold it any more."""
        signals = self._signals[run_id]
        signals.paused.clear()
        signals.rewound.clear()
        if cancelled:
            signals.cancelled.set()

    def tell(self, wanted: Wanted) -> None:
        """What a look has found; whoever waits for something in this run looks up."""
        signals = self._signals[wanted.run_id]
        if wanted.cancel:
            signals.cancelled.set()
        for signal, holds in (
            (signals.paused, wanted.pause),
            (signals.interrupted, wanted.interrupt),
            (signals.rewound, wanted.rewind),
        ):
            if holds:
                signal.set()
            else:
                signal.clear()
        if wanted.cancel or wanted.pause or wanted.interrupt or wanted.rewind:
            signals.decided.set()
            signals.child_ended.set()

    def closing(self, run_id: str) -> None:
        """The run writes its end and cleans up: a worker that is told to stop lets it finish that."""
        self._closing.add(run_id)

    async def all_closed(self) -> None:
        while self._closing:
            self._closed.clear()
            await self._closed.wait()

    def forget(self, run_id: str) -> None:
        self._signals.pop(run_id, None)
        self._followed.discard(run_id)
        self._resting.discard(run_id)
        self._closing.discard(run_id)
        self._closed.set()
