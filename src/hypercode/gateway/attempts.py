"""A limit on failed sign-ins, in this process's memory."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable

from hypercode.domain.errors import RateLimited

WINDOW_S = 300.0
PER_ACCOUNT = 5
PER_ADDRESS = 50
KEYS_KEPT = 10_000


class FailedAttempts:
    """Counts failures per (email, address) and per address; the oldest keys are forgotten first."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, email: str, address: str) -> None:
        """Raise RateLimited when this pair, or this address alone, has failed too often of late."""
        if self._count(f"{address} {email}") >= PER_ACCOUNT or self._count(address) >= PER_ADDRESS:
            raise RateLimited("Too many failed sign-ins.", hint="Wait five minutes, then try again.")

    def failed(self, email: str, address: str) -> None:
        for key in (f"{address} {email}", address):
            self._failures.setdefault(key, deque()).append(self._now())
            self._failures.move_to_end(key)
        while len(self._failures) > KEYS_KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, email: str, address: str) -> None:
        self._failures.pop(f"{address} {email}", None)

    def _count(self, key: str) -> int:
        failures = self._failures.get(key)
        if failures is None:
            return 0
        while failures and failures[0] <= self._now() - WINDOW_S:
            failures.popleft()
        return len(failures)
