"""The verifier process: two verbs over its unix socket, for workers that hold the verification key."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hypercode.domain.address import binding
from hypercode.domain.errors import HyperCodeError, InvalidArgument, NotFound, Unauthenticated
from hypercode.platform_api.client import PlatformClient
from hypercode.platform_api.wire import error_body, http_status
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.database import DATABASE_AWAY, Database, database_away
from hypercode.store.objects import open_objects
from hypercode.telemetry.metrics import watch_connections
from hypercode.telemetry.tracing import Traced
from hypercode.verification.attestation import read_private_key
from hypercode.verification.verifier import Freeze, Verifier, Verify

MAX_BODY = 64 * 1024 * 1024

_log = structlog.get_logger()

Endpoint = Callable[[Request], Awaitable[Response]]


def create_app(verifier: Verifier, key: str) -> Starlette:
    """Serve a verifier to callers that hold ``key``; health and metrics to anyone who reaches the socket."""

    async def freeze(request: Request) -> Response:
        frozen = await verifier.freeze(Freeze.model_validate_json(await _body(request)))
        return JSONResponse(frozen.model_dump(mode="json"))

    async def verify(request: Request) -> Response:
        asked = Verify.model_validate_json(await _body(request))
        return StreamingResponse(_verify_lines(verifier, asked), media_type="application/x-ndjson")

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/freeze", _guarded(freeze, key), methods=["POST"]),
            Route("/verify", _guarded(verify, key), methods=["POST"]),
            Route("/healthz", health),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(Traced)],
    )


def _guarded(endpoint: Endpoint, key: str) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            _authenticate(request, key)
            return await endpoint(request)
        except ValidationError as error:
            return _refused(InvalidArgument(f"The request does not fit: {error.error_count()} problem(s)."))
        except HyperCodeError as error:
            return _refused(error)
        except DATABASE_AWAY as error:
            return _refused(database_away(error))

    return guarded


def _authenticate(request: Request, key: str) -> None:
    sent = request.headers.get("authorization", "")
    if not hmac.compare_digest(sent.encode(), f"Bearer {key}".encode()):
        raise Unauthenticated("The verification key is missing or wrong.")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise InvalidArgument("The request is over 64 MiB.")
    return bytes(body)


def _refused(error: HyperCodeError) -> JSONResponse:
    return JSONResponse(error_body(error), status_code=http_status(error))


async def _verify_lines(verifier: Verifier, asked: Verify) -> AsyncIterator[bytes]:
    """Progress lines while it works, then one result or error. A caller that hangs up cancels the work."""
    lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def progress(phase: str, message: str) -> None:
        await lines.put({"type": "progress", "phase": phase, "message": message})

    async def work() -> None:
        await lines.put(await _last_line(verifier, asked, progress))

    # A plain task, not a task group: a generator may be closed from another task than it ran in.
    task = asyncio.create_task(work())
    try:
        while True:
            line = await lines.get()
            yield json.dumps(line).encode() + b"\n"
            if line["type"] != "progress":
                return
    finally:
        task.cancel()


async def _last_line(
    verifier: Verifier, asked: Verify, progress: Callable[[str, str], Awaitable[None]]
) -> dict[str, Any]:
    try:
        verified = await verifier.verify(asked, progress)
    except HyperCodeError as error:
        return {"type": "error", **error_body(error)}
    except DATABASE_AWAY as error:
        return {"type": "error", **error_body(database_away(error))}
    except Exception as error:  # noqa: BLE001 - the process edge: the caller must get a last line
        _log.exception("verification_failed", run_id=asked.run_id)
        return {
            "type": "error",
            **error_body(HyperCodeError(f"The verifier failed: {type(error).__name__}.")),
        }
    return {"type": "result", **verified.model_dump(mode="json")}


async def serve(settings: Settings) -> None:
    """Run the verifier process until it is told to stop."""
    if settings.database_url is None:
        raise InvalidArgument("The verifier needs a database.", hint="Set HYPERCODE_DATABASE_URL.")
    # Workers show the verification key. The verifier's own key opens check_run alone, and no worker holds it.
    callers_key = _read_key(settings.keys_dir / "verification.key")
    own_key = _read_key(settings.keys_dir / "verifier.key")
    signing_key = read_private_key(settings.keys_dir / "attestation.key")
    database = Database(settings.database_url)
    watch_connections(database.connections_in_use, database.connections_idle, database.most_connections)
    platform = PlatformClient(settings.address_of("platform"), own_key)
    verifier = Verifier(database, ArtifactStore(open_objects(settings)), platform, signing_key)
    address = settings.address_of("verifier")
    if isinstance(address, Path):
        address.unlink(missing_ok=True)
    config = uvicorn.Config(
        create_app(verifier, callers_key), log_config=None, access_log=False, **binding(address)
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await platform.close()
        await database.dispose()


def _read_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise NotFound(f"The key {path.name} can't be read: {error.strerror}.") from None
