"""What a tool call costs beside a bare, authenticated MCP echo of the same revision, in the same run.

    python -m bench.tool_call [--calls 400] [--json]

One server process answers on two sockets: a bare one (the official server behind a bearer check, an echo tool, nothing
else) and ours (grant, schema, policy, limits, journal, audit on a real Postgres, the same echo). The ways take turns, so
that a busy moment hits them all. ``bench.platform`` measures the calls that go on into a container.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import uvicorn
from biscuit_auth import KeyPair
from mcp import Client, MCPError, types
from mcp.client.streamable_http import streamable_http_client
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.fixtures.rows import make_run

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.mcp_protocol.schemas import IDEMPOTENCY_KEY, Arguments, Closed
from hypercode.policy.grants import mint
from hypercode.sandbox.base import Sandboxes
from hypercode.store import embedded
from hypercode.store.database import Database
from hypercode.store.migrate import migrate
from hypercode.store.tables import RunRow
from hypercode.telemetry.logging import configure_logging
from hypercode.tools.app import CallRules, create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.limits import CallLimits
from hypercode.tools.registry import Registry, Tool, ToolContext, ToolReply

BARE_TOKEN = "bare-token"
STORM = 500
PACE_S = 0.025  # under the limit of 50 calls a second
REVISIONS = {"2026-07-28": "2026-07-28", "2025-11-25": "legacy"}
Call = Callable[[int], Awaitable[None]]


class Said(Arguments):
    text: str


class Heard(Closed):
    text: str


async def echo(_: ToolContext, args: Said) -> ToolReply:
    return ToolReply(Heard(text=args.text), args.text)


# A name that the built-in policy lets a Coder call.
ECHO = Tool("fs_read", "Say it again.", Said, Heard, echo, read_only=True)


class BearerOnly:
    """The cheapest authentication there is: one comparison."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and (b"authorization", f"Bearer {BARE_TOKEN}".encode()) not in scope["headers"]
        ):
            await JSONResponse({}, status_code=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def bare_app() -> Starlette:
    """The official server with an echo tool, as our own app is made."""

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        text = str((params.arguments or {})["text"])
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)],
            structured_content={"text": text},
            is_error=False,
        )

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[ECHO.definition()], ttl_ms=0, cache_scope="private")

    server: Server[dict[str, Any]] = Server(
        "bare",
        version="1",
        on_call_tool=call_tool,
        on_list_tools=list_tools,
        get_tool_input_schema=lambda _: None,
    )
    app = server.streamable_http_app(
        streamable_http_path="/mcp/",
        stateless_http=True,
        transport_security=TransportSecuritySettings(allowed_hosts=["tools"], allowed_origins=[]),
    )
    app.add_middleware(BearerOnly)
    return app


async def serve(url: str, public_hex: str, directory: Path) -> None:
    """The server process: both apps until it is killed."""
    keys = PlatformKeys(platform="p", verifier="v", sandboxd="s", grant_public_hex=public_hex)
    database = Database(url)

    def ours(limits: CallLimits) -> Starlette:
        rules = CallRules(limits=limits)
        return create_app(database, cast(Sandboxes, None), keys, Registry([ECHO]), rules=rules).mcp

    unlimited = CallLimits(rate=1e6, burst=1_000_000, in_flight=10_000)
    apps = {"bare.sock": bare_app(), "ours.sock": ours(unlimited), "limited.sock": ours(CallLimits())}
    configs = [
        uvicorn.Config(app, uds=str(directory / name), log_level="warning", access_log=False)
        for name, app in apps.items()
    ]
    await asyncio.gather(*(uvicorn.Server(config).serve() for config in configs))


@asynccontextmanager
async def client(path: Path, token: str, mode: str) -> AsyncIterator[Client]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx2.AsyncClient(
                transport=httpx2.AsyncHTTPTransport(
                    uds=str(path), limits=httpx2.Limits(max_connections=2 * STORM)
                ),
                headers={"Authorization": f"Bearer {token}"},
                timeout=60,
            )
        )
        transport = streamable_http_client("http://tools/mcp/", http_client=http)
        yield await stack.enter_async_context(Client(transport, mode=mode))


def caller(client: Client, prefix: str) -> Call:
    async def call(number: int) -> None:
        meta = cast(types.RequestParamsMeta, {IDEMPOTENCY_KEY: f"{prefix}-{number}"})
        result = await client.call_tool("fs_read", {"text": "x" * 200}, meta=meta)
        assert not result.is_error, result

    return call


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(statistics.median(ordered) * 1000, 2),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 2),
    }


async def in_turns(ways: dict[str, Call], calls: int, pause_s: float = 0.0) -> dict[str, dict[str, float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(calls):
        for name, call in ways.items():
            started = time.perf_counter()
            await call(number)
            took[name].append(time.perf_counter() - started)
            await asyncio.sleep(pause_s)
    # The first ones open connections.
    return {name: figures(seconds[20:]) for name, seconds in took.items()}


async def storm(path: Path, token: str) -> None:
    """500 callers of one run at once, each again and again; one that is told to wait waits a second."""
    async with client(path, token, "2026-07-28") as ours, asyncio.TaskGroup() as group:

        async def keep_calling(who: int) -> None:
            for number in itertools.count():
                meta = cast(types.RequestParamsMeta, {IDEMPOTENCY_KEY: f"storm-{who}-{number}"})
                try:
                    await ours.call_tool("fs_read", {"text": "x"}, meta=meta)
                except MCPError:
                    await asyncio.sleep(1.0)

        for who in range(STORM):
            group.create_task(keep_calling(who))


async def beside_a_storm(directory: Path, tokens: list[str], calls: int) -> dict[str, Any]:
    """A run that calls one at a time: alone, then while another run storms from a process of its own."""
    async with client(directory / "limited.sock", tokens[0], "2026-07-28") as quiet:
        alone = await in_turns({"alone": caller(quiet, "alone")}, calls, PACE_S)
        argv = [
            sys.executable,
            "-m",
            "bench.tool_call",
            "--storm",
            str(directory / "limited.sock"),
            tokens[1],
        ]
        with started(argv):
            await asyncio.sleep(3)
            beside = await in_turns({"beside 500 callers": caller(quiet, "beside")}, calls, PACE_S)
    ratio = beside["beside 500 callers"]["p95_ms"] / alone["alone"]["p95_ms"]
    return alone | beside | {"p95_ratio": round(ratio, 2)}


async def measure(directory: Path, url: str, calls: int) -> dict[str, Any]:
    database = Database(url)
    pair = KeyPair()
    private_hex = bytes(pair.private_key.to_bytes()).hex()
    tokens = [await token_of(database, private_hex) for _ in range(2)]
    await database.dispose()
    public_hex = bytes(pair.public_key.to_bytes()).hex()
    argv = [sys.executable, "-m", "bench.tool_call", "--serve", url, public_hex, str(directory)]
    with started(argv):
        await answering(directory / "limited.sock")
        results: dict[str, Any] = {}
        for revision, mode in REVISIONS.items():
            async with (
                client(directory / "bare.sock", BARE_TOKEN, mode) as bare,
                client(directory / "ours.sock", tokens[0], mode) as ours,
            ):
                ways = {"bare echo": caller(bare, "b"), "ours": caller(ours, revision)}
                took = await in_turns(ways, calls)
            more = round(took["ours"]["median_ms"] - took["bare echo"]["median_ms"], 2)
            results[revision] = took | {"more_ms": more}
        return results | {"fair": await beside_a_storm(directory, tokens, calls)}


@contextmanager
def started(argv: list[str]) -> Iterator[None]:
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def token_of(database: Database, private_hex: str) -> str:
    run_id = await make_run(database)
    async with database.transaction() as session:
        run = await session.get_one(RunRow, run_id)
        run.status = "running"
    grant = Grant(
        organisation_id=run.organisation_id,
        project_id=run.project_id,
        task_id=run.task_id,
        run_id=run.id,
        workspace_id=run.workspace_id,
        role=AgentRole(run.role),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    return mint(private_hex, grant)


async def answering(path: Path) -> None:
    async with (
        httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(path))) as http,
        asyncio.timeout(30),
    ):
        while True:
            try:
                await http.get("http://tools/healthz")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
            else:
                return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=400, help="calls of each way")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", nargs=3, metavar=("URL", "KEY", "DIRECTORY"), help=argparse.SUPPRESS)
    parser.add_argument("--storm", nargs=2, metavar=("SOCKET", "TOKEN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.storm:
        asyncio.run(storm(Path(options.storm[0]), options.storm[1]))
        return
    if options.serve:
        configure_logging("INFO")
        asyncio.run(serve(options.serve[0], options.serve[1], Path(options.serve[2])))
        return
    with tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o711)
        server = embedded.prepare(directory / "postgres")
        server.start()
        try:
            migrate(server.url)
            results = asyncio.run(measure(directory, server.url, options.calls))
        finally:
            server.stop()
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
