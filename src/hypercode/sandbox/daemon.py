"""sandboxd: the verbs over HTTP on a unix socket, for callers that hold its key. It alone holds the engine."""

import asyncio
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import structlog
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hypercode.domain.address import binding
from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    NotFound,
    SandboxDown,
    TooLarge,
    Unauthenticated,
)
from hypercode.domain.web_exchange import begun, wire_form
from hypercode.sandbox import wire
from hypercode.sandbox.apps import (
    AppExec,
    AppHttp,
    AppLogs,
    AppRef,
    Apps,
    AppsOf,
    BuildImage,
    RunApp,
)
from hypercode.sandbox.base import (
    BuildEnvironment,
    CheckRequest,
    OpenWorkspace,
    Progress,
    Sandboxes,
    StartSandbox,
)
from hypercode.sandbox.docker import DockerSandboxes, instance_of
from hypercode.sandbox.errors import error_body
from hypercode.sandbox.files import (
    ChangeRequest,
    DeleteRequest,
    GlobRequest,
    MoveRequest,
    SearchRequest,
    StatRequest,
)
from hypercode.sandbox.processes import ProcessesOf, ProcessKill, ProcessRead, ProcessStart, ProcessWrite
from hypercode.sandbox.worktrees import (
    CheckSnapshot,
    CompareSnapshots,
    PruneSnapshots,
    RestorePaths,
    RestoreSnapshot,
    SnapshotsOf,
    SwitchBranch,
    TakeSnapshot,
)
from hypercode.settings import Settings
from hypercode.telemetry.metrics import CONTAINERS_RUNNING, ENGINE_UP, SANDBOX_VERB_SECONDS, timed
from hypercode.telemetry.tracing import Traced

SWEEP_EVERY_S = 3600
MAX_BODY = 192 * 1024 * 1024
STATUS = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "TOO_LARGE": 413,
    "SANDBOX_DOWN": 503,
    "SANDBOX_LOST": 503,
}
KINDS = ("agent", "check", "helper", "build", "egress", "import", "make", "app", "deployment")
COUNT_TIMEOUT_S = 1.0

_log = structlog.get_logger(__name__)
Body = TypeVar("Body", bound=BaseModel)
Endpoint = Callable[[Request], Awaitable[Response]]
Verb = Callable[[bytes], Awaitable[BaseModel]]
Work = Callable[[Progress], Awaitable[BaseModel]]
Count = Callable[[], Awaitable[dict[str, int]]]


def create_app(sandboxes: Sandboxes, key: str, *, running: Count | None = None) -> Starlette:
    """Serve the verbs to callers that hold ``key``; health and metrics to anyone who reaches the socket.

    ``running`` counts the running containers by kind, for the metrics.
    """

    async def health(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> Response:
        try:
            return JSONResponse({"status": "ok", **await sandboxes.ready()})
        except HyperCodeError as error:
            return _refusal(error)

    async def metrics(_request: Request) -> Response:
        if running is not None:
            await _count(running)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def build(request: Request) -> Response:
        asked = BuildEnvironment.model_validate_json(await _body(request))
        return _lines(lambda progress: sandboxes.build_environment(asked, progress))

    async def app_build(request: Request) -> Response:
        image = BuildImage.model_validate_json(await _body(request))
        return _lines(lambda progress: sandboxes.apps.build(image, progress))

    async def app_http(request: Request) -> Response:
        asked = AppHttp.model_validate_json(await _body(request))
        # Begun here, so that what goes wrong before its head is told with a status of its own.
        answer = await begun(sandboxes.apps.http(asked))
        return StreamingResponse(wire_form(answer), media_type="application/octet-stream")

    streams = {"build_environment": build, "app_build": app_build, "app_http": app_http}
    verbs = {name: _one_answer(name, verb) for name, verb in _verbs(sandboxes).items()}
    routes = [
        Route(f"/v1/{name}", _guarded(endpoint, key), methods=["POST"])
        for name, endpoint in {**verbs, **streams}.items()
    ]
    return Starlette(
        routes=[
            *routes,
            Route("/healthz", health),
            Route("/readyz", ready),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(Traced)],
    )


async def _count(running: Count) -> None:
    """Ask the engine as it is scraped; what it can't say is not shown."""
    try:
        async with asyncio.timeout(COUNT_TIMEOUT_S):
            numbers = await running()
    except (HyperCodeError, TimeoutError):
        ENGINE_UP.labels("docker").set(0)
        CONTAINERS_RUNNING.clear()
        return
    ENGINE_UP.labels("docker").set(1)
    for kind in KINDS:
        CONTAINERS_RUNNING.labels(kind).set(numbers.get(kind, 0))


def verb(kind: type[Body], work: Callable[[Body], Awaitable[BaseModel | None]]) -> Verb:
    """Return a verb as a function from its JSON body to its reply."""

    async def run(body: bytes) -> BaseModel:
        return await work(kind.model_validate_json(body)) or wire.Nothing()

    return run


def _app_verbs(apps: Apps) -> dict[str, Verb]:
    """The verbs for a run's images and containers, those that stream left out."""
    return {
        "app_run": verb(RunApp, apps.run),
        "app_show": verb(AppRef, apps.show),
        "app_owned": verb(AppsOf, apps.owned),
        "app_logs": verb(AppLogs, apps.logs),
        "app_exec": verb(AppExec, apps.exec),
        "app_stop": verb(AppRef, apps.stop),
        "app_remove": verb(AppRef, apps.remove),
    }


def _verbs(sandboxes: Sandboxes) -> dict[str, Verb]:
    """Every verb as a function from its JSON body to its reply."""

    async def ready(_asked: wire.Nothing) -> wire.Ready:
        return wire.Ready(engine=await sandboxes.ready())

    return {
        "ready": verb(wire.Nothing, ready),
        "open_workspace": verb(OpenWorkspace, sandboxes.open_workspace),
        "close_workspace": verb(wire.WorkspaceRef, lambda ask: sandboxes.close_workspace(ask.workspace_id)),
        "start": verb(StartSandbox, sandboxes.start),
        "stop": verb(wire.SandboxRef, lambda ask: sandboxes.stop(ask.sandbox_id)),
        "exec": verb(wire.ExecCall, lambda ask: sandboxes.exec(ask.sandbox_id, ask.request)),
        "read": verb(
            wire.ReadCall, lambda ask: sandboxes.read(ask.sandbox_id, ask.path, ask.offset, ask.limit)
        ),
        "write": verb(wire.WriteCall, lambda ask: sandboxes.write(ask.sandbox_id, ask.request)),
        "tree": verb(
            wire.TreeCall,
            lambda ask: sandboxes.tree(ask.sandbox_id, ask.path, ask.depth, ask.limit, skip=ask.skip),
        ),
        "change": verb(ChangeRequest, sandboxes.change),
        "move": verb(MoveRequest, sandboxes.move),
        "delete": verb(DeleteRequest, sandboxes.delete),
        "stat": verb(StatRequest, sandboxes.stat),
        "glob": verb(GlobRequest, sandboxes.glob),
        "search": verb(SearchRequest, sandboxes.search),
        "snapshot_take": verb(TakeSnapshot, sandboxes.snapshot_take),
        "snapshot_restore": verb(RestoreSnapshot, sandboxes.snapshot_restore),
        "snapshot_compare": verb(CompareSnapshots, sandboxes.snapshot_compare),
        "snapshot_names": verb(SnapshotsOf, sandboxes.snapshot_names),
        "snapshot_prune": verb(PruneSnapshots, sandboxes.snapshot_prune),
        "snapshot_check": verb(CheckSnapshot, sandboxes.snapshot_check),
        "restore_paths": verb(RestorePaths, sandboxes.restore_paths),
        "switch_branch": verb(SwitchBranch, sandboxes.switch_branch),
        "export_diff": verb(
            wire.ExportCall, lambda ask: sandboxes.export_diff(ask.workspace_id, ask.message)
        ),
        "apply_diff": verb(wire.ApplyCall, lambda ask: sandboxes.apply_diff(ask.workspace_id, ask.diff)),
        "check": verb(CheckRequest, sandboxes.check),
        **_app_verbs(sandboxes.apps),
        "process_start": verb(ProcessStart, sandboxes.process_start),
        "process_read": verb(ProcessRead, sandboxes.process_read),
        "process_write": verb(ProcessWrite, sandboxes.process_write),
        "process_kill": verb(ProcessKill, sandboxes.process_kill),
        "process_list": verb(ProcessesOf, sandboxes.process_list),
    }


def _one_answer(name: str, verb: Verb) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        body = await _body(request)
        with timed(SANDBOX_VERB_SECONDS, name):
            reply = await _unless_hung_up(request, verb(body))
        return Response(reply.model_dump_json(), media_type="application/json")

    return endpoint


async def _unless_hung_up(request: Request, work: Awaitable[BaseModel]) -> BaseModel:
    """Await the work; when the caller hangs up, the work is cancelled, and what it started is dead."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        watch.cancel()
        task.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _guarded(endpoint: Endpoint, key: str) -> Endpoint:
    async def guarded(request: Request) -> Response:
        try:
            sent = request.headers.get("authorization", "")
            if not hmac.compare_digest(sent.encode(), f"Bearer {key}".encode()):
                raise Unauthenticated("sandboxd's key is missing or wrong")
            return await endpoint(request)
        except ValidationError as error:
            return _refusal(InvalidArgument(f"the request does not fit: {_problems(error)}"))
        except ClientDisconnect:
            return Response(status_code=499)
        except HyperCodeError as error:
            return _refusal(error)
        except Exception:  # noqa: BLE001 - the edge of the process
            _log.exception("verb_failed", path=request.url.path)
            return _refusal(HyperCodeError("sandboxd failed; its log says why"))

    return guarded


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found[:5])


def _refusal(error: HyperCodeError) -> Response:
    return JSONResponse(error_body(error), status_code=STATUS.get(error.code, 422))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise TooLarge("the request is larger than 192 MiB")
    return bytes(body)


def _lines(work: Work) -> Response:
    return StreamingResponse(_build_lines(work), media_type="application/x-ndjson")


async def _build_lines(build: Work) -> AsyncIterator[bytes]:
    """Progress lines while it builds, then one result or error. A caller that hangs up cancels the build."""
    lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def progress(phase: str, message: str) -> None:
        await lines.put({"type": "progress", "phase": phase, "message": message})

    async def work() -> None:
        await lines.put(await _last_line(build, progress))

    task = asyncio.create_task(work())
    try:
        while True:
            line = await lines.get()
            yield json.dumps(line).encode() + b"\n"
            if line["type"] != "progress":
                return
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _last_line(build: Work, progress: Progress) -> dict[str, Any]:
    try:
        built = await build(progress)
    except HyperCodeError as error:
        return {"type": "error", **error_body(error)}
    except Exception:  # noqa: BLE001 - the edge of the process: the caller must get a last line
        _log.exception("build_failed")
        return {"type": "error", **error_body(HyperCodeError("sandboxd failed; its log says why"))}
    return {"type": "result", **built.model_dump(mode="json")}


async def serve(settings: Settings) -> None:
    """Run sandboxd on its socket until it is told to stop."""
    key = _read_key(settings.keys_dir / "sandboxd.key")
    sandboxes = DockerSandboxes(settings.sandbox, instance=instance_of(settings.data_dir))
    try:
        await sandboxes.ready()
    except SandboxDown as down:
        # Serve anyway: every verb then answers with this, and works as soon as the engine is back.
        _log.warning("engine_down", message=down.message, hint=down.hint)
    address = settings.address_of("sandboxd")
    sweeper = asyncio.create_task(_sweep_hourly(sandboxes), name="reaper")
    config = uvicorn.Config(
        create_app(sandboxes, key, running=sandboxes.running),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        timeout_keep_alive=75,
        **({} if isinstance(address, Path) else binding(address)),
    )
    try:
        await uvicorn.Server(config).serve(sockets=[_listen(address)] if isinstance(address, Path) else None)
    finally:
        sweeper.cancel()
        await asyncio.gather(sweeper, return_exceptions=True)
        await sandboxes.close()
        settings.socket("sandboxd").unlink(missing_ok=True)


async def _sweep_hourly(sandboxes: DockerSandboxes) -> None:
    """Clean up now and every hour, for as long as sandboxd runs."""
    while True:
        try:
            removed = await sandboxes.sweep(time.time())
        except HyperCodeError as error:
            _log.warning("sweep_failed", message=error.message)
        except Exception:  # noqa: BLE001 - the edge of a task: a failed sweep must not be the last one
            _log.exception("sweep_failed")
        else:
            _log.info("swept", removed=removed)
        await asyncio.sleep(SWEEP_EVERY_S)


def _listen(path: Path) -> socket.socket:
    """Return a listening unix socket that only our own user can reach."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(128)
    return listener


def _read_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as failure:
        raise NotFound(f"the key {path.name} can't be read: {failure.strerror}") from None
