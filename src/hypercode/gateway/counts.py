"""Counts that forget: how often something happened since the first time, for as long as a key's lifetime.

In Redis where one is configured, so that several gateways count together; in this process's memory otherwise, and
while Redis is away: a limit that nobody counts is none, and one that refuses everybody is an outage.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from hypercode.store.redis_keys import Key

if TYPE_CHECKING:
    from hypercode.store.redis_door import RedisDoor

KEYS_KEPT = 10_000


@dataclass(frozen=True)
class Count:
    """How often, and in how many seconds that is forgotten."""

    number: int
    ends_in_s: float


class Counts(Protocol):
    """Where counts are kept."""

    async def add(self, key: Key, name: str, amount: int = 1) -> Count:
        """Count and return the sum; the first count of a name begins its lifetime."""
        ...

    async def forget(self, key: Key, name: str) -> None: ...


class MemoryCounts:
    """The oldest names are forgotten first, so that a flood of names takes bounded memory."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def add(self, key: Key, name: str, amount: int = 1) -> Count:
        now, full = self._now(), key.of(name)
        number, ends = self._counts.get(full, (0, 0.0))
        if ends <= now:
            number, ends = 0, now + key.lifetime_s
            self._counts.pop(full, None)
        self._counts[full] = (number + amount, ends)
        while len(self._counts) > KEYS_KEPT:
            self._counts.popitem(last=False)
        return Count(number + amount, ends - now)

    async def forget(self, key: Key, name: str) -> None:
        self._counts.pop(key.of(name), None)


class RedisCounts:
    """Counts that all gateways share; ``without`` counts while Redis does not answer."""

    def __init__(self, door: "RedisDoor", without: Counts) -> None:
        self._door = door
        self._without = without

    async def add(self, key: Key, name: str, amount: int = 1) -> Count:
        full = key.of(name)

        async def count(redis: Any) -> list[int]:
            async with redis.pipeline(transaction=True) as pipeline:
                pipeline.set(full, 0, ex=key.lifetime_s, nx=True)
                pipeline.incrby(full, amount)
                pipeline.pttl(full)
                return await pipeline.execute()

        answer = await self._door.call(count, otherwise=None)
        if answer is None:
            return await self._without.add(key, name, amount)
        _, number, ends_in_ms = answer
        return Count(number, ends_in_ms / 1000)

    async def forget(self, key: Key, name: str) -> None:
        await self._without.forget(key, name)
        await self._door.call(lambda redis: redis.delete(key.of(name)), otherwise=None)


def counts(door: "RedisDoor | None") -> Counts:
    memory = MemoryCounts()
    return memory if door is None else RedisCounts(door, memory)
