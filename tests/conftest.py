"""Fixtures for every room: a real Postgres, migrated for real."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.fixtures.redis_server import RedisServer

from hypercode.store import embedded
from hypercode.store.database import Database, open_database
from hypercode.store.migrate import migrate


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
