"""Live events: one tail a run in this process, however many watch it.

A wake-up only says "look at run n"; what is sent comes from the log, so a lost wake-up loses nothing: every few
seconds one query looks at all runs that are watched.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Protocol

import structlog
from pydantic import ValidationError

from hypercode.domain.delta import Delta
from hypercode.domain.event import Event, RunFinished
from hypercode.events.history import History
from hypercode.events.line import Line, heads, read_lines
from hypercode.events.place import FellBehind, Place
from hypercode.events.tail import Tail
from hypercode.store.database import DATABASE_AWAY, Database

SWEEP_S = 2.0
# Nobody wakes anybody then: the sweep, one query for all runs, is how events come.
SWEEP_WITHOUT_REDIS_S = 0.25
PAGE = 500
RETRY_S = 0.25
logger = structlog.get_logger(__name__)


class WakeUps(Protocol):
    """Where wake-ups come from: Postgres NOTIFY, or Redis pub/sub."""

    def listen(self) -> AsyncIterator[str]:
        """Yield what is said on a channel, for ever."""
        ...


class LiveEvents:
    """Places in runs. Use as an async context manager: it owns the listening tasks.

    ``deltas`` is where models are heard; without it watchers get events only. ``history`` knows the runs that are archived.
    """

    def __init__(
        self,
        database: Database,
        wake_ups: WakeUps,
        deltas: WakeUps | None = None,
        history: History | None = None,
    ) -> None:
        self._database = database
        self._history = history
        self._wake_ups = wake_ups
        self._deltas = deltas
        self._tails: dict[str, tuple[Tail, asyncio.Task[None]]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "LiveEvents":
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._sweep())]
        if self._deltas is not None:
            self._tasks.append(asyncio.create_task(self._hear(self._deltas)))
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._tasks, *(task for _, task in self._tails.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def subscribe(self, run_id: str, after: int = 0) -> AsyncGenerator[Event]:
        """Yield every event of a run after a seq, once and in order, for as long as it is read.

        Replays from the log, then follows; ends after ``run.finished``. A slow reader goes on from the log again.
        """
        while True:
            with suppress(FellBehind):
                async with self.place(run_id, after) as place:
                    async for line in _lines(place):
                        yield line.event
                        after = line.seq
                    return

    @asynccontextmanager
    async def place(self, run_id: str, after: int) -> AsyncGenerator[Place]:
        """A place in a run for one watcher; the run's tail lives as long as there is one."""
        if run_id not in self._tails:
            tail = Tail(run_id)
            self._tails[run_id] = (tail, asyncio.create_task(self._follow(tail)))
        tail, task = self._tails[run_id]
        place = Place(tail, partial(self._replay, run_id), after)
        tail.watchers.add(place.woken)
        try:
            yield place
        finally:
            tail.watchers.discard(place.woken)
            if not tail.watchers and self._tails.get(run_id, (None,))[0] is tail:
                del self._tails[run_id]
                task.cancel()

    async def _follow(self, tail: Tail) -> None:
        tail.begin((await self._heads([tail.run_id])).get(tail.run_id, 0))
        while True:
            tail.woken.clear()
            if page := await self._page(tail.run_id, tail.end, PAGE):
                tail.publish(page)
            if len(page) < PAGE:
                await tail.woken.wait()

    async def _listen(self) -> None:
        async for run_id in self._wake_ups.listen():
            if run_id in self._tails:
                self._tails[run_id][0].woken.set()

    async def _hear(self, deltas: WakeUps) -> None:
        async for message in deltas.listen():
            run_id, _, piece = message.partition(" ")
            if run_id not in self._tails:
                continue
            try:
                self._tails[run_id][0].hear([Delta.model_validate_json(piece)])
            except ValidationError:
                # Whoever can write to Redis can write anything.
                logger.warning("delta.unreadable", run_id=run_id)

    async def _sweep(self) -> None:
        """Find events whose wake-up was lost; asks nothing while nobody watches."""
        while True:
            redis = self._database.redis
            away = redis is not None and redis.away
            await asyncio.sleep(SWEEP_WITHOUT_REDIS_S if away else SWEEP_S)
            if not self._tails:
                continue
            for run_id, head in (await self._heads(list(self._tails))).items():
                tail, _ = self._tails.get(run_id, (None, None))
                if tail is not None and head > tail.end:
                    tail.woken.set()

    async def _replay(self, run_id: str, after: int, most: int) -> list[Line]:
        """What lies behind the tail: of an old run it may be archived."""
        lines = await self._page(run_id, after, most)
        if self._history is None or (lines and lines[0].seq == after + 1):
            return lines
        archived = await self._archived(self._history, run_id, after)
        # What is no longer archived has come back between the two looks.
        return [_line(event) for event in archived[:most]] or await self._page(run_id, after, most)

    async def _archived(self, history: History, run_id: str, after: int) -> list[Event]:
        while True:
            try:
                async with self._database.transaction() as session:
                    return await history.archived(session, run_id, after)
            except DATABASE_AWAY as error:
                await self._rest(error)

    async def _page(self, run_id: str, after: int, most: int) -> list[Line]:
        while True:
            try:
                async with self._database.single_statements() as connection:
                    return await read_lines(connection, run_id, after, most)
            except DATABASE_AWAY as error:
                await self._rest(error)

    async def _heads(self, run_ids: list[str]) -> dict[str, int]:
        while True:
            try:
                async with self._database.single_statements() as connection:
                    return await heads(connection, run_ids)
            except DATABASE_AWAY as error:
                await self._rest(error)

    async def _rest(self, error: Exception) -> None:
        # Postgres restarts; the watchers stay, and miss nothing once it is back.
        logger.warning("tail.interrupted", reason=type(error).__name__)
        await asyncio.sleep(RETRY_S)


def _line(event: Event) -> Line:
    return Line(event.run_id, event.seq, event.type, event.at, json.dumps(event.payload, ensure_ascii=False))


async def _lines(place: Place) -> AsyncIterator[Line]:
    """Yield events to the last one of the run."""
    while True:
        for item in await place.take(None):
            if isinstance(item, Line):
                yield item
                if item.type == RunFinished.type:
                    return
