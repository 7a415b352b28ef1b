"""The newest of one run, kept once in this process for all who watch it: events, and what the model is saying."""

import asyncio
from collections.abc import Iterable

from hypercode.domain.delta import Delta
from hypercode.domain.event import RunFinished, TurnCompleted
from hypercode.events.line import Line

KEPT_EVENTS = 2_000
KEPT_CHARACTERS = 2_000_000
SAID_CHARACTERS = 64 * 1024
"""What is kept of a turn's text while it is said: its end, when it is longer."""


class Said:
    """What one attempt of a model call has said so far, as far as it came here."""

    def __init__(self, first: Delta) -> None:
        self.turn = first.turn
        self.attempt = first.attempt
        self.start = first.at
        self.text = ""
        self.add(first)

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def add(self, delta: Delta) -> None:
        """Take a piece; after one that was lost only what follows is kept."""
        if delta.at != self.end:
            self.start, self.text = delta.at, ""
        self.text += delta.text
        if len(self.text) > SAID_CHARACTERS:
            self.start, self.text = self.end - SAID_CHARACTERS, self.text[-SAID_CHARACTERS:]

    def since(self, run_id: str, at: int) -> Delta:
        """All that was said from a place on, as one piece."""
        begin = at if self.start <= at <= self.end else self.start
        return Delta(
            run_id=run_id,
            turn=self.turn,
            attempt=self.attempt,
            at=begin,
            text=self.text[begin - self.start :],
        )


class Tail:
    """Bounded, whatever its watchers do: they hold cursors into it, and no events of their own.

    ``start`` is the seq before the first kept event; None until the log was looked at.
    """

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.start: int | None = None
        self.end = 0
        self.said: Said | None = None
        self.woken = asyncio.Event()
        self.watchers: set[asyncio.Event] = set()
        self._kept: list[Line] = []
        self._characters = 0
        self._over = ""

    def begin(self, head: int) -> None:
        self.start = self.end = head
        self._wake_watchers()

    def publish(self, lines: list[Line]) -> None:
        """Add what came after ``end``, and let watchers know."""
        self._kept += lines
        self._characters += sum(len(line.json) for line in lines)
        self.end = lines[-1].seq
        if len(self._kept) > KEPT_EVENTS or self._characters > KEPT_CHARACTERS:
            self._forget()
        if self.said is not None and any(
            line.type in (TurnCompleted.type, RunFinished.type) for line in lines
        ):
            # The event has it all; what of that attempt comes late is dropped.
            self._over, self.said = self.said.attempt, None
        self._wake_watchers()

    def _forget(self) -> None:
        """Half of it at once: an event that is added costs next to nothing."""
        while len(self._kept) > KEPT_EVENTS // 2 or self._characters > KEPT_CHARACTERS // 2:
            count = max(1, len(self._kept) // 2)
            self._characters -= sum(len(line.json) for line in self._kept[:count])
            del self._kept[:count]
        self.start = self.end - len(self._kept)

    def since(self, seq: int, most: int) -> list[Line]:
        """The kept events after a seq that is not before ``start``, the oldest first."""
        first = len(self._kept) - (self.end - seq)
        return self._kept[first : first + most] if seq < self.end else []

    def hear(self, deltas: Iterable[Delta]) -> None:
        """Take what the model says."""
        for delta in deltas:
            if delta.attempt == self._over:
                continue
            if self.said is None or self.said.attempt != delta.attempt:
                self.said = Said(delta)
            else:
                self.said.add(delta)
            self._wake_watchers()

    def _wake_watchers(self) -> None:
        for watcher in self.watchers:
            watcher.set()
