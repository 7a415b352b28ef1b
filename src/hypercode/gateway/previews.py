"""Previews: apps that agents deployed, each at an origin of its own, behind the sign-in.

The app is hostile until shown otherwise. It gets no cookie and no Authorization header of anybody, it can set no
cookie, and nothing at its origin is the platform: every request whose Host is beneath the preview domain ends
here, every other one never gets here. Plain ASGI, because an app's stream must not be buffered.
"""

import base64
import html
import re
import time
from typing import cast
from urllib.parse import parse_qs

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from hypercode.domain.web_exchange import MAX_BODY, WebHead, WebRequest, begun, end_to_end
from hypercode.gateway.errors import STATUS_OF_CODE
from hypercode.platform_api.previews import PreviewAsk, PreviewClient
from hypercode.settings import GatewaySettings, Settings
from hypercode.store import previews
from hypercode.store.database import DATABASE_AWAY, Database, database_away
from hypercode.telemetry import metrics

logger = structlog.get_logger(__name__)
ENTER = "/.hypercode/enter"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NOT_FOR_THE_APP = frozenset(
    {"cookie", "authorization", "x-hypercode-csrf", "forwarded", "x-real-ip", "x-request-id", "expect"}
)
NOT_FROM_THE_APP = frozenset(
    {
        "set-cookie",
        "set-cookie2",
        "clear-site-data",
        "strict-transport-security",
        "alt-svc",
        "report-to",
        "reporting-endpoints",
        "nel",
        "access-control-allow-credentials",
        "service-worker-allowed",
        "x-accel-redirect",
    }
)
_ID = re.compile(r"[0-9a-f]{32}")


def preview_of(host: str, domain: str) -> str | None:
    """Return what stands before the preview domain, "" for the domain itself, None for any other host."""
    name = host.strip().lower()
    if not name.startswith("["):
        name = name.partition(":")[0]
    name = name.rstrip(".")
    if name == domain:
        return ""
    return name.removesuffix("." + domain) if name.endswith("." + domain) else None


def preview_origin(request: Request, settings: GatewaySettings, preview_id: str) -> str:
    """Return a preview's origin, at the port where this request's browser reached us."""
    _, colon, port = request.headers.get("host", "").rpartition(":")
    at = f":{port}" if colon and port.isdecimal() else ""
    scheme = "https" if settings.secure_cookies else "http"
    return f"{scheme}://{preview_id}.{settings.preview_domain}{at}"


class Previews:
    """What previews need: the database for passes, and a way to the tools process, opened at the first use."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self._client: PreviewClient | None = None

    def client(self) -> PreviewClient:
        """The client; raises Unavailable when its key is not there."""
        if self._client is None:
            try:
                key = (self.settings.keys_dir / "preview.key").read_text().strip()
            except OSError as error:
                raise Unavailable(
                    "The key preview.key can't be read.", hint="`hypercode keys` makes it."
                ) from error
            self._client = PreviewClient(self.settings.address_of("platform"), key)
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    @property
    def cookie(self) -> str:
        """The cookie's name: with TLS one that no neighbouring preview can set."""
        prefix = "__Host-" if self.settings.gateway.secure_cookies else ""
        return f"{prefix}hypercode_preview"


class PreviewHost:
    """The outermost middleware: takes what is addressed to previews, and passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        parts = cast(Previews, scope["app"].state.parts.previews)
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        preview_id = preview_of(host, parts.settings.gateway.preview_domain)
        if preview_id is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Not passed on yet; the server answers 403.
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _Visit(parts, Request(scope, receive), preview_id).answer(scope, receive, send)


class _Visit:
    """One request to a preview, and its answer."""

    def __init__(self, parts: Previews, request: Request, preview_id: str) -> None:
        self._parts = parts
        self._request = request
        self._preview_id = preview_id

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        try:
            response = await self._response()
        except HyperCodeError as error:
            response = _page(error)
        except DATABASE_AWAY as error:
            response = _page(database_away(error))
        except Exception:
            logger.exception("preview.failed", preview_id=self._preview_id)
            response = _page(HyperCodeError("The platform failed.", hint="Its log says why."))
        method = self._request.method if self._request.method in METHODS else "OTHER"
        metrics.HTTP_REQUESTS.labels(method, "preview", str(response.status_code)).inc()
        # Neither path nor query: they are the app's, and one of them holds a ticket.
        logger.info(
            "preview",
            preview_id=self._preview_id[:32],
            method=method,
            status=response.status_code,
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
        )
        await response(scope, receive, send)

    async def _response(self) -> Response:
        if not _ID.fullmatch(self._preview_id):
            raise NotFound("There is no preview at this address.")
        if self._request.method not in METHODS:
            raise InvalidArgument(f"Previews do not take {self._request.method[:20]}.")
        if self._request.url.path.startswith("/.hypercode/"):
            return await self._enter()
        if "service-worker" in self._request.headers:
            raise PermissionDenied("Previews can't register service workers: they would outlive them.")
        await self._require_pass()
        return await self._passed_on()

    async def _enter(self) -> Response:
        """Change the ticket for a cookie, and go to the app."""
        if self._request.url.path != ENTER or self._request.method != "GET":
            raise NotFound("There is no such page.")
        ticket = parse_qs(self._request.url.query).get("ticket", [""])[0]
        async with self._parts.database.transaction() as session:
            value = await previews.take_ticket(session, ticket, self._preview_id)
        if value is None:
            raise Unauthenticated(
                "This way into the preview is used up.", hint="Open the preview from its task again."
            )
        response = RedirectResponse("/", status_code=303, headers=_own_headers())
        response.set_cookie(
            self._parts.cookie,
            value,
            path="/",
            httponly=True,
            samesite="lax",
            secure=self._parts.settings.gateway.secure_cookies,
        )
        return response

    async def _require_pass(self) -> None:
        value = self._request.cookies.get(self._parts.cookie, "")
        if value:
            async with self._parts.database.transaction() as session:
                if await previews.may_enter(session, value, self._preview_id):
                    return
        raise Unauthenticated(
            "This preview is for people who are signed in.", hint="Open it from its task in HyperCode."
        )

    async def _passed_on(self) -> Response:
        asked = PreviewAsk(preview_id=self._preview_id, request=await self._to_app())
        answer = await begun(self._parts.client().preview(asked))
        response = StreamingResponse(answer.body, status_code=answer.head.status)
        response.raw_headers = _from_app(answer.head)
        return response

    async def _to_app(self) -> WebRequest:
        body = bytearray()
        async for part in self._request.stream():
            body += part
            if len(body) > MAX_BODY:
                raise TooLarge(f"The body is larger than {MAX_BODY} bytes.")
        raw_path = self._request.scope.get("raw_path") or self._request.url.path.encode()
        query = self._request.scope["query_string"]
        target = (raw_path + (b"?" + query if query else b"")).decode("latin-1")
        headers = [
            (name, value)
            for name, value in end_to_end(self._request.headers.items())
            if name not in NOT_FOR_THE_APP and not name.startswith("x-forwarded-")
        ]
        try:
            return WebRequest(
                method=self._request.method,
                target=target,
                headers=headers,
                body_b64=base64.b64encode(body).decode(),
            )
        except ValueError as error:
            raise InvalidArgument("The request does not fit what a preview takes.") from error


def _from_app(head: WebHead) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in end_to_end(head.headers) if name.lower() not in NOT_FROM_THE_APP]
    named = {name.lower() for name, _ in kept}
    kept += [(name, value) for name, value in _own_headers().items() if name.lower() not in named]
    # A second policy beside the app's own: both hold, so nobody can frame it.
    kept.append(("Content-Security-Policy", "frame-ancestors 'none'"))
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in kept]


def _own_headers() -> dict[str, str]:
    return {
        "Cache-Control": "private, no-cache",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Robots-Tag": "noindex",
    }


def _page(error: HyperCodeError) -> Response:
    """A page of ours at the preview's origin: words, and nothing that runs."""
    status = 502 if isinstance(error, Unavailable) else STATUS_OF_CODE.get(error.code, 500)
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<title>Preview</title><style>:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;"
        "max-width:36rem;margin:20vh auto 0;padding:0 1.5rem}code{opacity:.7}</style>"
        f"<h1>{html.escape(error.message)}</h1><p>{html.escape(error.hint)}</p>"
        f"<p><code>{html.escape(error.code)}</code></p></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    headers = {
        **_own_headers(),
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(text, status_code=status, headers=headers)
