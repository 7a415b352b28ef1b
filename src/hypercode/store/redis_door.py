"""The one way to Redis: short in time, and out of the way while Redis is away.

Redis may vanish and come back at any moment. A call that gets no answer costs a tenth of a second once; then
nobody asks for a while, and everybody does without. Loaded only where a Redis is configured.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import anyio
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hypercode.domain.errors import InvalidArgument
from hypercode.store.channels import redis_channel

logger = structlog.get_logger(__name__)
CALL_TIMEOUT_S = 0.1
DOUBT_S = 0.2
REST_S = 1.0
# A subscription is quiet for hours: a question now and then shows whether the other side is still there.
ALIVE_EVERY_S = 5.0
CONNECTIONS = 20
FAILURES = (RedisError, OSError, TimeoutError)
T = TypeVar("T")


class RedisDoor:
    """Calls, publishing and subscriptions over one URL. One warning an outage, one line when it is over.

    ``seal_key`` is that of ``store/cache.py``; a process without it keeps nothing, and can say what changed.
    """

    def __init__(self, url: str, seal_key: bytes | None = None) -> None:
        self.seal_key = seal_key
        self._calls = _client(url)
        self._subscriptions = _client(url)
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._resting_until = 0.0
        self._away = False
        self._doubted_at: float | None = None

    async def call(self, work: Callable[[Any], Awaitable[Any]], otherwise: T) -> Any | T:
        """Return what Redis answers, or ``otherwise`` when it does not in time or is known to be away."""
        if self._resting():
            return otherwise
        # The wait for a connection is not Redis's fault, and has to be no part of its time.
        async with self._slots:
            if self._resting():
                return otherwise
            if self._doubted_at is not None:
                # One call tries whether it is back; the others do not wait with it.
                self._resting_until = time.monotonic() + CALL_TIMEOUT_S
            return await self._call(work, otherwise)

    async def _call(self, work: Callable[[Any], Awaitable[Any]], otherwise: T) -> Any | T:
        began = time.monotonic()
        try:
            with anyio.fail_after(CALL_TIMEOUT_S):
                answer = await work(self._calls)
        except TimeoutError as error:
            self._too_late(began, error)
            return otherwise
        except FAILURES as error:
            self.failed(error)
            return otherwise
        self.answered()
        return answer

    def _too_late(self, began: float, error: TimeoutError) -> None:
        """A busy machine answers late now and then: it is an outage when the next call gets no answer either."""
        if self._doubted_at is None:
            self._doubted_at = time.monotonic()
            self._resting_until = self._doubted_at + DOUBT_S
        elif began > self._doubted_at:
            self.failed(error)

    def _resting(self) -> bool:
        return time.monotonic() < self._resting_until

    @property
    def away(self) -> bool:
        """Redis did not answer the last time; nobody is woken through it."""
        return self._away

    async def answers(self) -> bool:
        """Ask now, also while resting: for whoever wants to know how Redis is."""
        self._resting_until = 0.0
        return await self.call(lambda redis: redis.ping(), otherwise=False) is not False

    async def publish(self, wake_ups: Collection[tuple[str, str]]) -> None:
        """Say something on each channel, in order; may be lost."""

        async def send(redis: Any) -> None:
            if len(wake_ups) == 1:
                ((channel, said),) = wake_ups
                await redis.publish(redis_channel(channel), said)
                return
            # One trip for all of them.
            async with redis.pipeline(transaction=False) as pipeline:
                for channel, said in wake_ups:
                    pipeline.publish(redis_channel(channel), said)
                await pipeline.execute()

        await self.call(send, otherwise=None)

    @asynccontextmanager
    async def subscribed(self, channel: str) -> AsyncGenerator[AsyncIterator[str]]:
        """Subscribe; raises one of FAILURES when Redis goes away."""
        async with self._subscriptions.pubsub() as pubsub:
            with anyio.fail_after(ALIVE_EVERY_S):
                await pubsub.subscribe(redis_channel(channel))
                await pubsub.get_message(timeout=None)
            self.answered()
            yield _ids(pubsub)

    def failed(self, error: BaseException) -> None:
        now = time.monotonic()
        self._doubted_at = self._doubted_at or now
        self._resting_until = now + REST_S
        if not self._away:
            self._away = True
            # The error's text may quote the address; its kind says enough.
            logger.warning("redis.away", reason=type(error).__name__)

    def answered(self) -> None:
        self._doubted_at = None
        self._resting_until = 0.0
        if self._away:
            self._away = False
            logger.info("redis.back")

    async def close(self) -> None:
        await self._calls.aclose()
        await self._subscriptions.aclose()


def _client(url: str, **options: Any) -> Any:
    # Any: the library's own types leave too much open to be checked.
    try:
        return cast(Any, Redis).from_url(
            url,
            decode_responses=True,
            protocol=2,
            socket_connect_timeout=CALL_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
    except ValueError:
        # Without the cause: it quotes the URL, which may hold a password.
        raise InvalidArgument(
            "HYPERCODE_REDIS_URL is not the URL of a Redis server.",
            hint="Use redis://host:6379/0, rediss://… for TLS, or unix:///path/to/socket.",
        ) from None


async def _ids(pubsub: Any) -> AsyncIterator[str]:
    asked = False
    while True:
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=ALIVE_EVERY_S)
        if message is None and asked:
            raise TimeoutError
        asked = message is None
        if message is None:
            await pubsub.ping()
        elif message["type"] == "message":
            yield message["data"]
