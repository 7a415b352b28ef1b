"""Wake-ups by Redis pub/sub."""

import asyncio
from collections.abc import AsyncIterator

from hypercode.store.redis_door import FAILURES, RedisDoor

RECONNECT_S = 0.5


class RedisWakeUps:
    """Listens on one channel with a connection of its own, and comes back when Redis does."""

    def __init__(self, door: RedisDoor, channel: str) -> None:
        self._door = door
        self._channel = channel

    async def listen(self) -> AsyncIterator[str]:
        while True:
            try:
                async with self._door.subscribed(self._channel) as ids:
                    async for id_ in ids:
                        yield id_
            except FAILURES as error:
                self._door.failed(error)
                await asyncio.sleep(RECONNECT_S)
