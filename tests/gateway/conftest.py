"""The gateway on a real database: in process for requests, on a real port for streams."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import structlog
import uvicorn
from anyio import fail_after
from biscuit_auth import KeyPair
from fastapi import FastAPI

from hypercode.gateway.app import create_app
from hypercode.gateway.passwords import hash_password
from hypercode.settings import GatewaySettings, Settings
from hypercode.store.api_tokens import create_token
from hypercode.store.database import Database
from hypercode.store.tables import Base, OrganisationRow, UserRow

ORIGIN = "http://hypercode.test"


@dataclass(frozen=True)
class Person:
    """Someone with an account, and a client that carries their API token."""

    user: UserRow
    token: str
    client: httpx2.AsyncClient


@pytest.fixture(autouse=True, scope="session")
def plain_log() -> None:
    # The default renderer spends seconds on a trace with all locals.
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
    )


@pytest.fixture
async def empty_database(database: Database) -> Database:
    # Not TRUNCATE: it writes new files for every table, which is slow for a handful of rows.
    async with database.transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            await session.execute(table.delete())
    return database


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(
        data_dir=tmp_path / "data", gateway=GatewaySettings(allowed_roots=[tmp_path / "code"])
    )
    settings.keys_dir.mkdir(parents=True)
    (settings.keys_dir / "grant.key").write_text(str(KeyPair().private_key))
    (tmp_path / "code").mkdir()
    return settings


@pytest.fixture
async def app(settings: Settings, empty_database: Database) -> AsyncIterator[FastAPI]:
    app = create_app(settings, empty_database)
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers)


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that keeps cookies and sends the Origin of our own pages."""
    async with client_of(app, Origin=ORIGIN) as client:
        yield client


NewPerson = Callable[..., Awaitable[Person]]


@pytest.fixture
async def new_person(app: FastAPI, empty_database: Database) -> AsyncIterator[NewPerson]:
    clients: list[httpx2.AsyncClient] = []

    async def make(role: str = "admin", organisation: str = "org_a", password: str | None = None) -> Person:
        async with empty_database.transaction() as session:
            await session.merge(OrganisationRow(id=organisation, name=organisation))
            await session.flush()
            identity = secrets.token_hex(4)
            user = UserRow(
                id=f"usr_{identity}",
                organisation_id=organisation,
                email=f"{identity}@example.org",
                name=role,
                role=role,
                password_hash=await hash_password(password) if password else "",
            )
            session.add(user)
            await session.flush()
            token = await create_token(session, user.id, "test")
            await session.refresh(user)
        client = client_of(app, Authorization=f"Bearer {token}")
        clients.append(client)
        return Person(user=user, token=token, client=client)

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
async def admin(new_person: NewPerson) -> Person:
    return await new_person()


NewTask = Callable[..., Awaitable[dict[str, str]]]


@pytest.fixture
async def project_id(admin: Person) -> str:
    answer = await admin.client.post(
        "/api/v1/projects", json={"source_kind": "git_url", "source": "https://git.example.com/a/b.git"}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture
def new_task(admin: Person, project_id: str) -> NewTask:
    async def make(**fields: object) -> dict[str, str]:
        body = {"project_id": project_id, "prompt": "Make the tests pass.", **fields}
        answer = await admin.client.post("/api/v1/tasks", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()

    return make


@pytest.fixture
async def server(app: FastAPI) -> AsyncIterator[str]:
    """The address of the app on a real port: streams need a real connection."""
    async with serving(app) as address:
        yield address


@pytest.fixture
def serve() -> Callable[[FastAPI], AbstractAsyncContextManager[str]]:
    return serving


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    uvicorn_server = uvicorn.Server(config)
    task = asyncio.create_task(uvicorn_server.serve(sockets=[listener]))
    with fail_after(10):
        while not uvicorn_server.started:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    uvicorn_server.should_exit = True
    with fail_after(10):
        await task
