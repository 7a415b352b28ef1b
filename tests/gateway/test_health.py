"""Health, readiness by dependency, and the numbers of all processes in one text."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from anyio import fail_after
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tests.fixtures.redis_server import RedisServer

from hypercode.gateway.app import create_app
from hypercode.settings import Settings
from hypercode.store.database import Database

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def process(socket: Path, name: str) -> AsyncIterator[None]:
    """A process as the gateway sees one: a unix socket with /healthz and /metrics."""
    registry = CollectorRegistry()
    Counter("hypercode_test_calls", "Calls.", ["tool"], registry=registry).labels(name).inc(7)

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    async def metrics(_: Request) -> PlainTextResponse:
        return PlainTextResponse(generate_latest(registry))

    app = Starlette(routes=[Route("/healthz", healthz), Route("/metrics", metrics)])
    socket.parent.mkdir(parents=True, exist_ok=True)
    server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    with fail_after(10):
        while not server.started:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    yield
    server.should_exit = True
    with fail_after(10):
        await task


@pytest.fixture
def short(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    # A unix socket's path holds 107 bytes.
    return settings.model_copy(update={"data_dir": tmp_path_factory.mktemp("d")})


@pytest.fixture
async def client(short: Settings, database: Database) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=create_app(short, database))
    async with httpx2.AsyncClient(transport=transport, base_url="http://hypercode.test") as client:
        yield client


async def test_readiness_names_each_dependency(client: httpx2.AsyncClient, short: Settings) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert {each["name"]: each["status"] for each in answer.json()["dependencies"]} == {
        "postgres": "up",
        "tools": "down",
        "sandboxd": "down",
    }
    async with process(short.socket("tools"), "tools"), process(short.socket("sandboxd"), "sandboxd"):
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)


async def test_a_redis_that_is_gone_is_named_and_stops_nothing(
    short: Settings, redis_database: Database, redis_server: RedisServer
) -> None:
    transport = httpx2.ASGITransport(app=create_app(short, redis_database))
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://hypercode.test") as client,
        process(short.socket("tools"), "tools"),
        process(short.socket("sandboxd"), "sandboxd"),
    ):
        up = (await client.get("/readyz")).json()
        redis_server.kill()
        gone = await client.get("/readyz")
    assert up["dependencies"][-1] == {"name": "redis", "status": "up", "detail": "answers"}
    assert (gone.status_code, gone.json()["ready"]) == (200, True)
    assert gone.json()["dependencies"][-1]["status"] == "degraded"


async def test_a_database_that_is_gone_is_named(short: Settings) -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    transport = httpx2.ASGITransport(app=create_app(short, database))
    async with httpx2.AsyncClient(transport=transport, base_url="http://hypercode.test") as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["dependencies"][0]["status"] == "down"
    assert "nobody" not in answer.text


async def test_metrics_of_several_processes_make_one_valid_text(
    client: httpx2.AsyncClient, short: Settings
) -> None:
    await client.get("/healthz")
    async with process(short.socket("tools"), "tools"), process(short.socket("sandboxd"), "sandboxd"):
        # A killed process leaves its socket behind; one that was never here leaves nothing.
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(short.socket("verifier")))
        text = (await client.get("/metrics")).text
    types = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    calls = {
        s.labels["process"]: s.value
        for s in families["hypercode_test_calls"].samples
        if s.name.endswith("total")
    }
    assert calls == {"tools": 7.0, "sandboxd": 7.0}
    up = {s.labels["process"]: s.value for s in families["hypercode_process_up"].samples}
    assert up == {"tools": 1, "sandboxd": 1, "verifier": 0}
    requests = families["hypercode_http_requests"].samples
    assert any(s.labels["route"] == "/healthz" and s.labels["process"] == "gateway" for s in requests)
