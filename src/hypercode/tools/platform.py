"""The platform's own work over ``/platform``: typed, keyed, no MCP, never reachable by an agent."""

import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import anyio
import structlog
from anyio.abc import ObjectSendStream
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    PermissionDenied,
    TooLarge,
    Unauthenticated,
)
from hypercode.domain.web_exchange import begun, wire_form
from hypercode.platform_api import types as api
from hypercode.platform_api.previews import DeploymentStop, PreviewAsk
from hypercode.platform_api.snapshots import (
    SnapshotCheck,
    SnapshotCompare,
    SnapshotRestore,
    SnapshotsPrune,
    SnapshotTake,
)
from hypercode.platform_api.wire import error_body, http_status
from hypercode.store.database import DATABASE_AWAY, database_away
from hypercode.telemetry.tracing import Traced
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.platform_work import PlatformWork
from hypercode.tools.preview_work import PreviewWork
from hypercode.tools.snapshot_work import SnapshotWork

log = structlog.get_logger(__name__)

MAX_BODY = 64 * 1024 * 1024
"""Diffs travel in bodies; nothing else is large."""

RequestT = TypeVar("RequestT", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


def create_platform_app(
    work: PlatformWork,
    snapshots: SnapshotWork,
    previews: PreviewWork,
    keys: PlatformKeys,
    *,
    routes: list[Route],
) -> Starlette:
    """Build the app: one POST endpoint a verb, and ``routes`` beside them."""
    worker = [keys.platform]

    def verb(
        path: str, model: type[RequestT], do: Callable[[RequestT], Awaitable[BaseModel | None]]
    ) -> Route:
        return Route(f"/platform/{path}", _plain(model, do, worker), methods=["POST"])

    return Starlette(
        routes=[
            verb("workspace_open", api.WorkspaceOpen, work.workspace_open),
            verb("workspace_close", api.WorkspaceClose, work.workspace_close),
            verb("sandbox_open", api.SandboxOpen, work.sandbox_open),
            verb("sandbox_close", api.SandboxClose, work.sandbox_close),
            verb("checks_detect", api.ChecksDetect, work.checks_detect),
            verb("diff_export", api.DiffExport, work.diff_export),
            verb("diff_apply", api.DiffApply, work.diff_apply),
            verb("text_redact", api.TextRedact, work.text_redact),
            verb("snapshot_take", SnapshotTake, snapshots.take),
            verb("snapshot_restore", SnapshotRestore, snapshots.restore),
            verb("snapshot_check", SnapshotCheck, snapshots.check),
            verb("snapshots_prune", SnapshotsPrune, snapshots.prune),
            Route(
                "/platform/snapshot_compare",
                _plain(SnapshotCompare, snapshots.compare, [keys.platform, keys.preview]),
                methods=["POST"],
            ),
            Route("/platform/environment_build", _streamed(work, worker), methods=["POST"]),
            Route(
                "/platform/check_run",
                _plain(api.CheckRun, work.check_run, [keys.verifier]),
                methods=["POST"],
            ),
            Route("/platform/preview", _preview(previews, [keys.preview]), methods=["POST"]),
            Route(
                "/platform/deployment_stop",
                _plain(DeploymentStop, previews.deployment_stop, [keys.preview]),
                methods=["POST"],
            ),
            *routes,
        ],
        middleware=[Middleware(Traced)],
    )


def _plain(
    model: type[RequestT], do: Callable[[RequestT], Awaitable[BaseModel | None]], accepted: list[str]
) -> Handler:
    """One JSON request, one JSON reply; the work is stopped when the caller goes away."""

    async def endpoint(request: Request) -> Response:
        try:
            _authenticate(request, accepted)
            body = await _body(request, model)
            reply = await _while_connected(request, do(body))
        except HyperCodeError as error:
            return _error(error)
        except DATABASE_AWAY as error:
            return _error(database_away(error))
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception as error:  # the edge of the process: the caller gets a code, the log the rest
            log.error("platform.broke", verb=request.url.path, exc_info=error)
            return _error(HyperCodeError("the tools process failed", hint="Its log says more."))
        return JSONResponse(reply.model_dump(mode="json") if reply is not None else {})

    return endpoint


def _preview(previews: PreviewWork, accepted: list[str]) -> Handler:
    """The app's answer as it comes, after its head."""

    async def endpoint(request: Request) -> Response:
        try:
            _authenticate(request, accepted)
            answer = await begun(await previews.preview(await _body(request, PreviewAsk)))
        except HyperCodeError as error:
            return _error(error)
        except DATABASE_AWAY as error:
            return _error(database_away(error))
        except ClientDisconnect:
            return Response(status_code=499)
        return StreamingResponse(wire_form(answer), media_type="application/octet-stream")

    return endpoint


def _streamed(work: PlatformWork, accepted: list[str]) -> Handler:
    """NDJSON: progress lines, then one line with the result or the error."""

    async def endpoint(request: Request) -> Response:
        try:
            _authenticate(request, accepted)
            body = await _body(request, api.EnvironmentBuild)
        except HyperCodeError as error:
            return _error(error)
        return StreamingResponse(_lines(work, body), media_type="application/x-ndjson")

    return endpoint


async def _lines(work: PlatformWork, body: api.EnvironmentBuild) -> AsyncIterator[str]:
    send, receive = anyio.create_memory_object_stream[dict[str, Any]](100)

    async def build(sink: ObjectSendStream[dict[str, Any]]) -> None:
        async def progress(phase: str, message: str) -> None:
            await sink.send({"type": "progress", "phase": phase, "message": message})

        async with sink:
            try:
                environment = await work.environment_build(body, progress)
            except HyperCodeError as error:
                await sink.send({"type": "error", **error_body(error)})
            except DATABASE_AWAY as error:
                await sink.send({"type": "error", **error_body(database_away(error))})
            else:
                await sink.send({"type": "result", **environment.model_dump(mode="json")})

    async with anyio.create_task_group() as group, receive:
        group.start_soon(build, send)
        async for line in receive:
            yield json.dumps(line) + "\n"


def _authenticate(request: Request, accepted: list[str]) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Unauthenticated("a platform key is needed")
    # Compare with all, so that the time does not tell which key came close.
    if not any([hmac.compare_digest(key.encode(), each.encode()) for each in accepted]):
        raise PermissionDenied("this key may not call this verb")


async def _body(request: Request, model: type[RequestT]) -> RequestT:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise TooLarge(f"the request has more than {MAX_BODY} bytes")
    try:
        return model.model_validate_json(bytes(received))
    except ValidationError as error:
        raise InvalidArgument(
            f"the request does not fit {model.__name__}: {error.error_count()} problems"
        ) from error


async def _while_connected(request: Request, work: Awaitable[BaseModel | None]) -> BaseModel | None:
    """Await the work, and cancel it when the caller disconnects."""
    outcome: list[BaseModel | Exception | None] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            outcome.append(await work)
        except (HyperCodeError, *DATABASE_AWAY) as error:
            # Kept out of the task group, which would wrap it.
            outcome.append(error)
        group.cancel_scope.cancel()
    if not outcome:
        raise ClientDisconnect
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _error(error: HyperCodeError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else None
    return JSONResponse(error_body(error), status_code=http_status(error), headers=headers)
