"""How often and how much at once one run may call, so that no run starves the others."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

from hypercode.domain.errors import RateLimited


@dataclass
class _Bucket:
    tokens: float
    at: float
    in_flight: int = 0


class CallLimits:
    """A token bucket and a count of running calls for each run. ``rate`` is calls a second."""

    def __init__(
        self,
        *,
        rate: float = 50.0,
        burst: int = 200,
        in_flight: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._burst, self._in_flight, self._clock = rate, burst, in_flight, clock
        self._buckets: dict[str, _Bucket] = {}

    @contextmanager
    def entered(self, run_id: str) -> Generator[None]:
        """Count a call of a run while it lasts; raises RateLimited."""
        bucket = self._refilled(run_id)
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / self._rate
            raise RateLimited("the run calls tools too fast", hint=f"Try again in {wait:.2f} s.")
        if bucket.in_flight >= self._in_flight:
            raise RateLimited(
                f"{bucket.in_flight} calls of the run are still going on", hint="Wait for one of them to end."
            )
        bucket.tokens -= 1
        bucket.in_flight += 1
        try:
            yield
        finally:
            bucket.in_flight -= 1

    def _refilled(self, run_id: str) -> _Bucket:
        now = self._clock()
        if len(self._buckets) > 10_000:
            self._buckets = {key: kept for key, kept in self._buckets.items() if kept.in_flight}
        bucket = self._buckets.setdefault(run_id, _Bucket(float(self._burst), now))
        bucket.tokens = min(float(self._burst), bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        return bucket
