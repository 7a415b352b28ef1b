"""Live events: one tail a run in this process, however many watch it.

A wake-up only says "look at run n"; what is sent comes from the log, so a lost wake-up loses nothing:
every tail also looks by itself every few seconds.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from sqlalchemy.exc import DBAPIError

from hypercode.domain.event import Event, RunFinished
from hypercode.events import log
from hypercode.store.database import Database

SWEEP_S = 2.0
PAGE = 500
QUEUE_LIMIT = 2_000
RETRY_S = 0.5
logger = structlog.get_logger(__name__)


class WakeUps(Protocol):
    """Where wake-ups come from: Postgres NOTIFY, or Redis pub/sub."""

    def listen(self) -> AsyncIterator[str]:
        """Yield run ids for ever."""
        ...


class FellBehind(Exception):
    """A subscriber was too slow for its bounded queue; it must start again from its cursor."""


class _Tail:
    """The newest events of one run, handed to every subscriber's queue."""

    def __init__(self, run_id: str, after: int) -> None:
        self.run_id = run_id
        self.seq = after
        self.woken = asyncio.Event()
        self.queues: set[asyncio.Queue[Event | None]] = set()

    def publish(self, events: list[Event]) -> None:
        for queue in list(self.queues):
            if queue.qsize() + len(events) >= QUEUE_LIMIT:
                self.queues.discard(queue)
                queue.put_nowait(None)
                continue
            for event in events:
                queue.put_nowait(event)


class LiveEvents:
    """Subscriptions to runs. Use as an async context manager: it owns the listening tasks."""

    def __init__(self, database: Database, wake_ups: WakeUps) -> None:
        self._database = database
        self._wake_ups = wake_ups
        self._tails: dict[str, tuple[_Tail, asyncio.Task[None]]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "LiveEvents":
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for _, task in self._tails.values()]
        if self._listener is not None:
            tasks.append(self._listener)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self) -> None:
        async for run_id in self._wake_ups.listen():
            if run_id in self._tails:
                self._tails[run_id][0].woken.set()

    async def subscribe(self, run_id: str, after: int = 0) -> AsyncGenerator[Event]:
        """Yield every event of a run after a seq, once and in order, for as long as it is read.

        Replays from the log, then follows; ends after ``run.finished``. Raises FellBehind when the
        reader is too slow to follow.
        """
        async with self._queue(run_id, after) as queue:
            sent = after
            while True:
                page = await self._page(run_id, sent)
                for event in page:
                    yield event
                    sent = event.seq
                    if event.type == RunFinished.type:
                        return
                if len(page) < PAGE:
                    break
            while True:
                event = await queue.get()
                if event is None:
                    raise FellBehind(run_id)
                if event.seq <= sent:
                    continue
                yield event
                sent = event.seq
                if event.type == RunFinished.type:
                    return

    @asynccontextmanager
    async def _queue(self, run_id: str, after: int) -> AsyncGenerator[asyncio.Queue[Event | None]]:
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        if run_id not in self._tails:
            tail = _Tail(run_id, after)
            self._tails[run_id] = (tail, asyncio.create_task(self._follow(tail)))
        tail, task = self._tails[run_id]
        tail.queues.add(queue)
        try:
            yield queue
        finally:
            tail.queues.discard(queue)
            if not tail.queues and self._tails.get(run_id, (None,))[0] is tail:
                del self._tails[run_id]
                task.cancel()

    async def _follow(self, tail: _Tail) -> None:
        while True:
            tail.woken.clear()
            try:
                page = await self._page(tail.run_id, tail.seq)
            except DBAPIError as error:
                # Postgres restarts; the watchers stay, and miss nothing once it is back.
                logger.warning("tail.interrupted", run_id=tail.run_id, reason=type(error.orig).__name__)
                await asyncio.sleep(RETRY_S)
                continue
            if page:
                tail.seq = page[-1].seq
                tail.publish(page)
                continue
            try:
                await asyncio.wait_for(tail.woken.wait(), SWEEP_S)
            except TimeoutError:
                continue

    async def _page(self, run_id: str, after: int) -> list[Event]:
        async with self._database.transaction() as session:
            return await log.read(session, run_id, after=after, limit=PAGE)
