"""A limit on requests: generous for people and programs, an end for a loop gone mad."""

import math

from hypercode.domain.errors import RateLimited
from hypercode.gateway.counts import Counts
from hypercode.store.redis_keys import REQUESTS


class RequestLimit:
    """Counts the requests of each signed-in person, and of each API token."""

    def __init__(self, counts: Counts, per_minute: int) -> None:
        self._counts = counts
        self._per_minute = per_minute

    async def count(self, who: str) -> None:
        """Count a request; raises RateLimited when it is one too many."""
        count = await self._counts.add(REQUESTS, who)
        if count.number > self._per_minute:
            raise RateLimited(
                f"More than {self._per_minute} requests in a minute.",
                hint=f"Try again in {math.ceil(count.ends_in_s)} s; the limit is "
                "HYPERCODE_GATEWAY__REQUESTS_PER_MINUTE.",
                retry_after_s=count.ends_in_s,
            )
