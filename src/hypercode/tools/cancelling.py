"""Cancelling a call in the revision of 2025-11-25, where the cancel is a message of its own.

The server keeps no sessions, so nothing in it knows which call such a message means. Here the calls that are going on are
known by their run and id: the request is dropped, and with it the tool and what it started. In 2026-07-28 a client closes
the request instead, which needs nothing.
"""

import json
from collections import defaultdict
from typing import Any, cast

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypercode.domain.grant import Grant

GRANT = "hypercode.grant"
"""Where the check of the grant leaves it in the scope."""

_VERSION = (b"mcp-protocol-version", b"2026-07-28")


class CancelMiddleware:
    """Ends a call when its run says that it is cancelled."""

    def __init__(self, app: ASGIApp, max_body: int) -> None:
        self._app, self._max_body = app, max_body
        self._going_on: defaultdict[tuple[str, str], set[anyio.CancelScope]] = defaultdict(set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at messages of the older revision; others pass as they are."""
        grant = scope.get(GRANT)
        if not isinstance(grant, Grant) or scope["method"] != "POST" or _VERSION in scope["headers"]:
            await self._app(scope, receive, send)
            return
        body, receive = await _read(receive, self._max_body)
        message = _message(body)
        method, params = message.get("method"), message.get("params")
        if method == "notifications/cancelled" and isinstance(params, dict):
            self._cancel(grant.run_id, cast(dict[str, Any], params).get("requestId"))
        if method == "tools/call":
            await self._until_cancelled((grant.run_id, json.dumps(message.get("id"))), scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _cancel(self, run_id: str, request_id: Any) -> None:
        for going_on in self._going_on.get((run_id, json.dumps(request_id)), ()):
            going_on.cancel()

    async def _until_cancelled(
        self, key: tuple[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        started = ended = False

        async def noted(message: Message) -> None:
            nonlocal started, ended
            started = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as going_on:
            self._going_on[key].add(going_on)
            try:
                await self._app(scope, receive, noted)
            finally:
                self._going_on[key].discard(going_on)
                if not self._going_on[key]:
                    del self._going_on[key]
        if going_on.cancelled_caught and not ended:
            # A cancelled request is not answered; the exchange has to end all the same.
            if not started:
                await send({"type": "http.response.start", "status": 202, "headers": []})
            await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive, most: int) -> tuple[bytes, Receive]:
    """Read a body, and return it with a ``receive`` that gives it out again; beyond ``most`` the rest is left."""
    parts, size, last = list[Message](), 0, False
    while not last and size <= most:
        message = await receive()
        parts.append(message)
        size += len(message.get("body", b""))
        last = message["type"] != "http.request" or not message.get("more_body", False)
    given = iter(parts)

    async def again() -> Message:
        return next(given, None) or await receive()

    return b"".join(part.get("body", b"") for part in parts), again


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], message) if isinstance(message, dict) else {}
