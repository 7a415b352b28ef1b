"""A run's events: as SSE, over WebSocket, or as pages. One order, one shape; ``seq`` is the cursor.

Whether the caller may see the run is settled before a stream begins, and its transaction is over by then:
a watcher holds no database connection.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Union, cast

import anyio
from fastapi import APIRouter, Header, Query, Request, WebSocket
from pydantic import BaseModel, Field, RootModel, create_model
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from hypercode.domain.delta import Delta
from hypercode.domain.errors import HyperCodeError
from hypercode.domain.event import RunFinished, typed_events
from hypercode.domain.run import RunStatus
from hypercode.events.history import History
from hypercode.events.line import Line
from hypercode.events.live import LiveEvents
from hypercode.events.place import FellBehind
from hypercode.gateway.auth import Caller
from hypercode.gateway.deps import AppParts, admit, parts_of
from hypercode.gateway.errors import error_response
from hypercode.gateway.runs import visible_run
from hypercode.store.tables import RunHeadRow
from hypercode.telemetry.metrics import (
    STREAM_DELTAS,
    STREAM_EVENTS,
    STREAM_LAG_SECONDS,
    STREAM_RESETS,
    STREAMS_OPEN,
    begin_at_zero,
)

router = APIRouter(prefix="/runs", tags=["runs"])

SSE = "text/event-stream"
MAX_SEQ = 2**62
# Who has not read for so long is let go; a client that is only slow takes its time.
STALLED_S = 60.0
PART = 64 * 1024
# no-transform: a proxy that compresses holds the whole stream back until its end.
STREAM_HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}

_union = cast(Any, Annotated[Union[tuple(typed_events())], Field(discriminator="type")])  # noqa: UP007
StreamedEvent = cast(
    type[BaseModel],
    create_model("StreamedEvent", __base__=RootModel[_union], __doc__="One event, by its type."),
)
EventPage = create_model(
    "EventPage",
    __doc__="Events in order; ``next_after`` continues, and is null at the end of what there is.",
    items=(cast(Any, list[StreamedEvent]), ...),
    next_after=(int | None, ...),
)


@dataclass(frozen=True)
class Signal:
    """What is no event of the run: heartbeat, reset (start again from the last id) or end."""

    name: str

    @property
    def json(self) -> str:
        return f'{{"type":"{self.name}"}}'


HEARTBEAT, RESET, END = Signal("heartbeat"), Signal("reset"), Signal("end")
Batch = list[Line | Delta | Signal]


@dataclass(frozen=True)
class Watch:
    """A run to follow after a seq; ``over`` when its last event lies behind that already."""

    run_id: str
    after: int
    over: bool


async def begin_watch(session: AsyncSession, caller: Caller, run_id: str, after: int) -> Watch:
    """Check that the caller may see the run; raises NotFound otherwise."""
    run = await visible_run(session, caller.user.organisation_id, run_id)
    head = await session.get(RunHeadRow, run.id)
    last = head.seq if head else 0
    ended = RunStatus(run.status).ended and after >= last
    # A cursor beyond the log would wait for events that nobody else waits for.
    return Watch(run.id, min(after, last), ended)


async def follow(live: LiveEvents, watch: Watch, heartbeat_s: float) -> AsyncGenerator[Batch]:
    """Yield what comes, and a heartbeat whenever nothing came for a while; ``end`` or ``reset`` is last."""
    if watch.over:
        yield [END]
        return
    async with live.place(watch.run_id, watch.after) as place:
        while True:
            try:
                news: Batch = [*await place.take(heartbeat_s)]
            except FellBehind:
                yield [RESET]
                return
            for at, item in enumerate(news):
                if isinstance(item, Line) and item.type == RunFinished.type:
                    yield [*news[: at + 1], END]
                    return
            yield news or [HEARTBEAT]


def show_streams() -> None:
    """Let both kinds of stream stand at 0 before the first watcher comes."""
    for series in (STREAM_EVENTS, STREAM_LAG_SECONDS, STREAM_RESETS, STREAM_DELTAS):
        begin_at_zero(series, ["sse", "websocket"])
    for kind in ("sse", "websocket"):
        STREAMS_OPEN.labels(kind)


class EventStream(StreamingResponse):
    """An SSE answer that lets go of its run as soon as the client is gone, or has read nothing for long."""

    media_type = SSE

    def __init__(self, batches: AsyncGenerator[Batch]) -> None:
        super().__init__(_as_sse(batches), headers=STREAM_HEADERS)
        self._batches = batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patiently(message: Message) -> None:
            with anyio.fail_after(STALLED_S):
                await send(message)

        try:
            with STREAMS_OPEN.labels("sse").track_inprogress(), suppress(TimeoutError):
                await super().__call__(scope, receive, patiently)
        finally:
            await self._batches.aclose()


class _Sent:
    """Counts what one stream sends."""

    def __init__(self, kind: str) -> None:
        self._events = STREAM_EVENTS.labels(kind)
        self._lag = STREAM_LAG_SECONDS.labels(kind)
        self._deltas = STREAM_DELTAS.labels(kind)
        self._resets = STREAM_RESETS.labels(kind)
        self._began = datetime.now(UTC)

    def count(self, batch: Batch) -> None:
        now = datetime.now(UTC)
        for item in batch:
            if isinstance(item, Line):
                self._events.inc()
                # What was written before the watcher came is replayed: it is old, not late.
                if item.at >= self._began:
                    self._lag.observe(max(0.0, (now - item.at).total_seconds()))
            elif isinstance(item, Delta):
                self._deltas.inc()
            elif item is RESET:
                self._resets.inc()


async def _as_sse(batches: AsyncGenerator[Batch]) -> AsyncGenerator[str]:
    sent = _Sent("sse")
    async for batch in batches:
        for part in _parts(list(map(_frame, batch))):
            yield part
        sent.count(batch)


def _parts(frames: list[str]) -> Iterator[str]:
    """Joined, but no more at once than a connection may well hold for a client that does not read."""
    part: list[str] = []
    size = 0
    for frame in frames:
        part.append(frame)
        size += len(frame)
        if size > PART:
            yield "".join(part)
            part, size = [], 0
    if part:
        yield "".join(part)


def _frame(item: Line | Delta | Signal) -> str:
    if isinstance(item, Line):
        return f"id: {item.seq}\nevent: {item.type}\ndata: {item.json}\n\n"
    if isinstance(item, Signal):
        return f"event: {item.name}\ndata: {item.json}\n\n"
    # Without an id: the cursor of whoever comes back stays at the last event.
    return f"event: delta\ndata: {item.model_dump_json()}\n\n"


@router.get(
    "/{run_id}/events",
    response_model=EventPage,
    responses={200: {"content": {SSE: {"schema": {"type": "string"}}}}},
)
async def get_run_events(
    run_id: str,
    request: Request,
    parts: AppParts,
    after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_SEQ)] = None,
) -> Response:
    """Replay after a seq, then follow, as SSE; with ``Accept: application/json`` one page."""
    start = after if last_event_id is None else last_event_id
    # Not the request's transaction: it would live as long as the stream.
    async with parts.database.transaction() as session:
        watch = await begin_watch(session, await admit(request, session), run_id, start)
        if _wants_json(request):
            return await _page(parts.history, session, watch, limit)
    return EventStream(follow(parts.live, watch, parts.heartbeat_s))


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "application/json" in accept and SSE not in accept


async def _page(history: History, session: AsyncSession, watch: Watch, limit: int) -> JSONResponse:
    items = await history.read(session, watch.run_id, after=watch.after, limit=limit)
    next_after = items[-1].seq if len(items) == limit else None
    return JSONResponse({"items": [item.model_dump(mode="json") for item in items], "next_after": next_after})


@router.websocket("/{run_id}/ws")
async def watch_run(
    websocket: WebSocket, run_id: str, after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0
) -> None:
    """The same events as text messages; ``heartbeat``, ``reset``, ``end`` and ``delta`` as ``{"type": ...}``."""
    parts = parts_of(websocket)
    try:
        async with parts.database.transaction() as session:
            watch = await begin_watch(session, await admit(websocket, session), run_id, after)
    except HyperCodeError as error:
        await websocket.send_denial_response(error_response(websocket.scope, error))
        return
    await websocket.accept()
    with STREAMS_OPEN.labels("websocket").track_inprogress():
        await _relay(websocket, follow(parts.live, watch, parts.heartbeat_s))


async def _relay(websocket: WebSocket, batches: AsyncGenerator[Batch]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_gone, websocket, group.cancel_scope)
        with suppress(TimeoutError):
            await _send_all(websocket, batches)
        group.cancel_scope.cancel()


async def _send_all(websocket: WebSocket, batches: AsyncGenerator[Batch]) -> None:
    sent = _Sent("websocket")
    async with aclosing(batches):
        async for batch in batches:
            for item in batch:
                with anyio.fail_after(STALLED_S):
                    await websocket.send_text(
                        item.model_dump_json() if isinstance(item, Delta) else item.json
                    )
            sent.count(batch)
    await websocket.close()


async def _cancel_when_gone(websocket: WebSocket, scope: anyio.CancelScope) -> None:
    # What a watcher sends means nothing here; that it leaves does.
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()
