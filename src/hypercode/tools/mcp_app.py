"""The MCP half: the official server behind a grant check, stateless, on one path."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from hypercode.domain.errors import HyperCodeError, RateLimited, Unauthenticated
from hypercode.domain.grant import Grant
from hypercode.mcp_protocol.codes import tool_error
from hypercode.mcp_protocol.schemas import IDEMPOTENCY_KEY
from hypercode.policy.grants import verify
from hypercode.telemetry.metrics import TOOL_REQUESTS_REFUSED
from hypercode.tools.cancelling import GRANT, CancelMiddleware
from hypercode.tools.dispatcher import CallRequest
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.limits import CallLimits
from hypercode.tools.mcp_resources import ResourceMethods
from hypercode.tools.request_state import PERSON, state_boundary
from hypercode.tools.rounds import Answered, Round, Rounds

MCP_PATH = "/mcp/"
HOST = "tools"
"""The Host that clients on the unix socket name; any other is refused."""

MAX_BODY = 4 * 1024 * 1024
METADATA_PATH = "/.well-known/oauth-protected-resource/mcp"
"""Where a client that was refused reads what this resource is (RFC 9728)."""

KEPTGRANTS = 1024

Context = ServerRequestContext[Any, Request]
McpServer = Server[dict[str, Any]]


class GrantMiddleware:
    """Lets a request to the MCP path pass only with a grant in its Authorization header."""

    def __init__(self, app: ASGIApp, public_key_hex: str, host: str) -> None:
        self._app, self._public_key_hex, self._host = app, public_key_hex, host
        self._verified: dict[str, Grant] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401, or put the grant into the scope and pass on."""
        if scope["type"] != "http" or not scope["path"].startswith("/mcp"):
            await self._app(scope, receive, send)
            return
        # RFC 9110 5.5: white space round a value is no part of it; the parser below us leaves what trails.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        try:
            scope[GRANT] = self._grant(scope)
        except Unauthenticated as error:
            await _refusal(error, 401, {"WWW-Authenticate": self._challenge(error)})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _challenge(self, error: Unauthenticated) -> str:
        return (
            f'Bearer error="invalid_token", error_description="{error.message}", '
            f'resource_metadata="http://{self._host}{METADATA_PATH}"'
        )

    def _grant(self, scope: Scope) -> Grant:
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(headers) != 1 or headers[0][:7].lower() != b"bearer ":
            raise Unauthenticated("a bearer grant is needed")
        token, now = headers[0][7:].decode("latin-1").strip(), datetime.now(UTC)
        known = self._verified.get(token)
        if known is not None and now < known.expires_at:
            return known
        grant = verify(self._public_key_hex, token, now)
        # Signatures don't change: a run sends the same token with each call. The oldest go first.
        if len(self._verified) >= KEPTGRANTS:
            self._verified.pop(next(iter(self._verified)))
        self._verified[token] = grant
        return grant


class TurnMiddleware:
    """Lets each run's requests pass at its own pace, before anything of them is read."""

    def __init__(self, app: ASGIApp, limits: CallLimits) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on when it is the run's turn, or answer 429."""
        grant = scope.get(GRANT)
        if grant is None or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            async with self._limits.turn(grant.run_id):
                await self._app(scope, receive, send)
        except RateLimited as error:
            TOOL_REQUESTS_REFUSED.inc()
            await _refusal(error, 429, {"Retry-After": f"{error.retry_after_s:.0f}"})(scope, receive, send)


def _refusal(error: HyperCodeError, status: int, headers: dict[str, str]) -> JSONResponse:
    said = tool_error(error).model_dump()
    return JSONResponse(said, status_code=status, headers=headers)


@dataclass(frozen=True)
class Extension:
    """What a composition adds to the server: handlers, and sessions for the 2025-11-25 revision.

    The platform has none. The conformance profile (tests/conformance) does: the suite asks for its own resources, prompts
    and questions to the client, which in that revision exist in sessions only.
    """

    register: Callable[["McpServer"], None]
    sessions: bool = True


def create_mcp_app(
    rounds: Rounds,
    keys: PlatformKeys,
    *,
    routes: list[Route],
    host: str = HOST,
    limits: CallLimits,
    extension: Extension | None = None,
) -> Starlette:
    """Build the app: MCP on ``/mcp/`` behind the grant check, and ``routes`` beside it."""
    server = _server(rounds)
    server.middleware.append(state_boundary(keys.platform, rounds.life_s, server.name))
    if extension is not None:
        extension.register(server)
    app = server.streamable_http_app(
        streamable_http_path=MCP_PATH,
        stateless_http=extension is None or not extension.sessions,
        max_request_body_size=MAX_BODY,
        # No page is served from here, so no browser sends this process's own origin; the others are refused.
        transport_security=TransportSecuritySettings(
            allowed_hosts=[host], allowed_origins=[f"http://{host}"]
        ),
        custom_starlette_routes=[*routes, Route(METADATA_PATH, _metadata(host))],
    )
    app.user_middleware.append(Middleware(GrantMiddleware, keys.grant_public_hex, host))
    app.user_middleware.append(Middleware(CancelMiddleware, MAX_BODY))
    app.user_middleware.append(Middleware(TurnMiddleware, limits))
    return app


def _metadata(host: str) -> Callable[[Request], Awaitable[Response]]:
    """RFC 9728, without an authorization server: grants are minted by the platform, nobody can ask for one."""
    document = {
        "resource": f"http://{host}{MCP_PATH}",
        "resource_name": "HyperCode tools",
        "bearer_methods_supported": ["header"],
    }

    async def answer(_: Request) -> Response:
        return JSONResponse(document)

    return answer


def _server(rounds: Rounds) -> McpServer:
    dispatcher = rounds.dispatcher

    async def list_tools(context: Context, _: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=dispatcher.visible(_granted(context)), ttl_ms=0, cache_scope="private"
        )

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> Answered:
        key = (context.meta or {}).get(IDEMPOTENCY_KEY)
        steps = 0

        async def report(message: str) -> None:
            nonlocal steps
            steps += 1
            await context.session.report_progress(float(steps), message=message[:1000])

        request = CallRequest(params.name, params.arguments or {}, None if key is None else str(key), report)
        return await rounds.call(_granted(context), request, _round(context, params))

    resources = ResourceMethods(dispatcher, _granted)
    return Server(
        "hypercode-tools",
        version="1",
        on_list_resources=resources.list,
        on_list_resource_templates=resources.templates,
        on_read_resource=resources.read,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        # Without this, the server lists all tools before every call.
        get_tool_input_schema=dispatcher.header_schema,
    )


def _round(context: Context, params: types.CallToolRequestParams) -> Round:
    """What this request says of its client; in the older revision nothing of it can be asked in the answer to a call."""
    capabilities = context.session.client_capabilities
    asking = capabilities.elicitation if capabilities is not None else None
    # The capability without a mode means forms.
    forms = asking is not None and (asking.form is not None or asking.url is None)
    return Round(
        has_forms=forms and context.protocol_version in MODERN_PROTOCOL_VERSIONS,
        person_token=context.request.headers.get(PERSON) if context.request is not None else None,
        state=params.request_state,
        answers=params.input_responses or {},
    )


def _granted(context: Context) -> Grant:
    grant = context.request.scope.get(GRANT) if context.request is not None else None
    if not isinstance(grant, Grant):
        raise Unauthenticated("a bearer grant is needed")
    return grant
