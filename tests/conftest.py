"""Fixtures for every room: a real Postgres, migrated for real."""

import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
import structlog
from pydantic import SecretStr
from tests.fixtures.redis_server import RedisServer

from hypercode.store import embedded
from hypercode.store.database import Database, open_database, psycopg_url
from hypercode.store.migrate import migrate

pytest_plugins = ["tests.promises"]


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that was run in this process has set up its own logging."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    # Short, and enterable by the service user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="hc-pg-", dir="/tmp") as directory:
        home = Path(directory)
        home.chmod(0o711)
        server = embedded.prepare(home / "postgres")
        server.start()
        try:
            migrate(server.url)
            yield server.url
        finally:
            server.stop()


@pytest.fixture(scope="module")
def own_database_url(database_url: str) -> str:
    """A migrated database for one module, that looks at all rows there are."""
    name = f"own_{secrets.token_hex(4)}"
    url = psycopg_url(database_url)
    with psycopg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
    ) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    own = url.set(database=name).render_as_string(hide_password=False)
    migrate(own)
    return own


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.dispose()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="hc-redis-", dir="/tmp") as directory:
        server = RedisServer(Path(directory))
        server.start()
        yield server
        server.close()


@pytest.fixture
async def redis_database(database_url: str, redis_server: RedisServer) -> AsyncIterator[Database]:
    """The database as a process has it whose HYPERCODE_REDIS_URL is set."""
    database = open_database(database_url, SecretStr(redis_server.url))
    yield database
    await database.dispose()
