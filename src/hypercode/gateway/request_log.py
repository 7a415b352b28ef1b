"""Round every request: its id, security headers, its line in the log, its count, and a plain answer when
we fail. Plain ASGI, because a stream must not be buffered.
"""

import re
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hypercode.domain.ids import new_id
from hypercode.gateway.errors import internal_error_response
from hypercode.telemetry import metrics

logger = structlog.get_logger(__name__)
ACCEPTED_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}")
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class RequestLog:
    """The outermost middleware of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        await _Exchange(scope, send).run(self._app, receive)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        sent = Headers(scope=scope).get("x-request-id", "")
        self._id = sent if ACCEPTED_ID.fullmatch(sent) else new_id("request")
        scope.setdefault("state", {})["request_id"] = self._id
        self._scope = scope
        self._send = send
        self._status = 0
        self._began = time.perf_counter()
        self._answered_s: float | None = None

    async def run(self, app: ASGIApp, receive: Receive) -> None:
        try:
            await app(self._scope, receive, self._pass_on)
        except Exception:
            logger.exception("request.failed", request_id=self._id, path=self._scope["path"])
            if self._status or self._scope["type"] != "http":
                raise
            await internal_error_response(self._scope)(self._scope, receive, self._pass_on)
        finally:
            self._record()

    async def _pass_on(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self._status = message["status"]
            self._answered_s = self._elapsed()
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        elif message["type"] == "websocket.accept":
            self._status = 101
        await self._send(message)

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def _record(self) -> None:
        route = str(getattr(self._scope.get("route"), "path", "other"))
        method = self._scope.get("method", "WEBSOCKET")
        metrics.HTTP_REQUESTS.labels(method, route, str(self._status)).inc()
        # To the first byte: a stream that is watched for an hour was not slow.
        if self._answered_s is not None:
            metrics.HTTP_REQUEST_SECONDS.labels(method, route).observe(self._answered_s)
        if self._scope["path"] not in QUIET:
            # The path without its query: cursors are dull, and tokens have no place in a log.
            logger.info(
                "request",
                request_id=self._id,
                method=method,
                path=self._scope["path"],
                status=self._status,
                duration_ms=round(self._elapsed() * 1000, 1),
            )
