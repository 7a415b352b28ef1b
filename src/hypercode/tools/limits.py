"""How often and how much at once one run may call, so that no run starves the others.

A run that is too fast is slowed down before its request is even read, which costs nothing; only one whose turn would
come too late is refused.
"""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from hypercode.domain.errors import RateLimited

MAX_RUNS = 10_000


@dataclass
class _Pace:
    """``next_at`` is when the run's next call would be due at its rate; a quiet run is behind that."""

    next_at: float
    running: anyio.Semaphore
    users: int = field(default=0)


class CallLimits:
    """A rate (calls a second, after a burst) and a count of running calls for each run; ``patience_s`` is how long a
    call waits for its turn before it is refused."""

    def __init__(
        self,
        *,
        rate: float = 50.0,
        burst: int = 100,
        in_flight: int = 32,
        patience_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval, self._burst, self._in_flight = 1 / rate, burst, in_flight
        self._patience_s, self._clock = patience_s, clock
        self._paces: dict[str, _Pace] = {}

    @asynccontextmanager
    async def turn(self, run_id: str) -> AsyncGenerator[None]:
        """Wait for the run's turn, and count the call while it lasts; raises RateLimited."""
        pace = self._pace(run_id)
        wait_s = self._reserved(pace)
        pace.users += 1
        try:
            if wait_s > 0:
                await anyio.sleep(wait_s)
            with anyio.move_on_after(self._patience_s) as waiting:
                await pace.running.acquire()
            if waiting.cancelled_caught:
                raise RateLimited(
                    f"{self._in_flight} calls of the run are still going on",
                    hint="Wait for one of them to end.",
                    retry_after_s=self._patience_s,
                )
            try:
                yield
            finally:
                pace.running.release()
        finally:
            pace.users -= 1

    def _reserved(self, pace: _Pace) -> float:
        """Take the next place and return the seconds until it is due."""
        now = self._clock()
        due_at = max(pace.next_at, now - (self._burst - 1) * self._interval)
        wait_s = due_at - now
        if wait_s > self._patience_s:
            late = wait_s - self._patience_s
            raise RateLimited(
                "the run calls tools too fast", hint=f"Try again in {late:.1f} s.", retry_after_s=late
            )
        pace.next_at = due_at + self._interval
        return wait_s

    def _pace(self, run_id: str) -> _Pace:
        if len(self._paces) > MAX_RUNS:
            self._paces = {key: kept for key, kept in self._paces.items() if kept.users}
        return self._paces.setdefault(run_id, _Pace(0.0, anyio.Semaphore(self._in_flight)))
