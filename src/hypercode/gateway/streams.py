"""A run's events: as SSE, over WebSocket, or as pages. One order, one shape; ``seq`` is the cursor.

Whether the caller may see the run is settled before a stream begins, and its transaction is over by then:
a watcher holds no database connection.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Union, cast

import anyio
from fastapi import APIRouter, Header, Query, Request, WebSocket
from pydantic import BaseModel, Field, RootModel, create_model
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hypercode.domain.errors import HyperCodeError
from hypercode.domain.event import Event, RunFinished, typed_events
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.events.live import FellBehind, LiveEvents
from hypercode.gateway.auth import Caller
from hypercode.gateway.deps import AppParts, admit, parts_of
from hypercode.gateway.errors import error_response
from hypercode.gateway.runs import visible_run
from hypercode.store.tables import RunHeadRow
from hypercode.telemetry.metrics import (
    STREAM_EVENTS,
    STREAM_LAG_SECONDS,
    STREAM_RESETS,
    STREAMS_OPEN,
    begin_at_zero,
)

router = APIRouter(prefix="/runs", tags=["runs"])

SSE = "text/event-stream"
MAX_SEQ = 2**62
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

    def as_json(self) -> str:
        return f'{{"type":"{self.name}"}}'


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


async def follow(live: LiveEvents, watch: Watch, heartbeat_s: float) -> AsyncGenerator[Event | Signal]:
    """Yield the events, and heartbeats whenever none came for a while; ``end`` or ``reset`` is last."""
    events = live.subscribe(watch.run_id, watch.after)
    pending: asyncio.Task[Event | None] | None = None
    over = watch.over
    try:
        while not over:
            pending = pending or asyncio.ensure_future(_next(events))
            await asyncio.wait({pending}, timeout=heartbeat_s)
            if not pending.done():
                yield Signal("heartbeat")
                continue
            event, pending = pending.result(), None
            if event is not None:
                yield event
            over = event is None or event.type == RunFinished.type
        yield Signal("end")
    except FellBehind:
        yield Signal("reset")
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        await events.aclose()


async def _next(events: AsyncGenerator[Event]) -> Event | None:
    return await anext(events, None)


def show_streams() -> None:
    """Let both kinds of stream stand at 0 before the first watcher comes."""
    for series in (STREAM_EVENTS, STREAM_LAG_SECONDS, STREAM_RESETS):
        begin_at_zero(series, ["sse", "websocket"])
    for kind in ("sse", "websocket"):
        STREAMS_OPEN.labels(kind)


class EventStream(StreamingResponse):
    """An SSE answer that lets go of its run as soon as the client is gone."""

    media_type = SSE

    def __init__(self, items: AsyncGenerator[Event | Signal]) -> None:
        super().__init__(_as_sse(items), headers=STREAM_HEADERS)
        self._items = items

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with STREAMS_OPEN.labels("sse").track_inprogress():
                await super().__call__(scope, receive, send)
        finally:
            await self._items.aclose()


class _Sent:
    """Counts what one stream sends."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._began = datetime.now(UTC)

    def count(self, item: Event | Signal) -> None:
        if isinstance(item, Event):
            STREAM_EVENTS.labels(self._kind).inc()
            # What was written before the watcher came is replayed: it is old, not late.
            if item.at >= self._began:
                lag = (datetime.now(UTC) - item.at).total_seconds()
                STREAM_LAG_SECONDS.labels(self._kind).observe(max(0.0, lag))
        elif item.name == "reset":
            STREAM_RESETS.labels(self._kind).inc()


async def _as_sse(items: AsyncGenerator[Event | Signal]) -> AsyncGenerator[str]:
    sent = _Sent("sse")
    async for item in items:
        if isinstance(item, Event):
            yield f"id: {item.seq}\nevent: {item.type}\ndata: {item.model_dump_json()}\n\n"
        else:
            yield f"event: {item.name}\ndata: {item.as_json()}\n\n"
        sent.count(item)


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
            return await _page(session, watch, limit)
    return EventStream(follow(parts.live, watch, parts.heartbeat_s))


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "application/json" in accept and SSE not in accept


async def _page(session: AsyncSession, watch: Watch, limit: int) -> JSONResponse:
    items = await log.read(session, watch.run_id, after=watch.after, limit=limit)
    next_after = items[-1].seq if len(items) == limit else None
    return JSONResponse({"items": [item.model_dump(mode="json") for item in items], "next_after": next_after})


@router.websocket("/{run_id}/ws")
async def watch_run(
    websocket: WebSocket, run_id: str, after: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0
) -> None:
    """The same events as text messages; ``heartbeat``, ``reset`` and ``end`` as ``{"type": ...}``."""
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


async def _relay(websocket: WebSocket, items: AsyncGenerator[Event | Signal]) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(_cancel_when_gone, websocket, group.cancel_scope)
        await _send_all(websocket, items)
        group.cancel_scope.cancel()


async def _send_all(websocket: WebSocket, items: AsyncGenerator[Event | Signal]) -> None:
    sent = _Sent("websocket")
    async with aclosing(items):
        async for item in items:
            await websocket.send_text(item.as_json() if isinstance(item, Signal) else item.model_dump_json())
            sent.count(item)
    await websocket.close()


async def _cancel_when_gone(websocket: WebSocket, scope: anyio.CancelScope) -> None:
    # What a watcher sends means nothing here; that it leaves does.
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    scope.cancel()
