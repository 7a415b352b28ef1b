"""The one door to Postgres: an engine, and transactions that commit at their end."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from sqlalchemy import URL, QueuePool, make_url
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

OVERFLOW = 10


def psycopg_url(url: str) -> URL:
    """Return the URL with the driver this project uses, whatever driver (or none) it names."""
    return make_url(url).set(drivername="postgresql+psycopg")


class Database:
    """Holds the connection pool of one process."""

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.url = url
        self.engine = create_async_engine(
            psycopg_url(url), pool_size=pool_size, max_overflow=OVERFLOW, pool_pre_ping=False
        )
        self.most_connections = pool_size + OVERFLOW
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """One request or step is one transaction: committed at the end, rolled back on any error."""
        async with self._sessions() as session, session.begin():
            yield session

    def connections_in_use(self) -> int:
        return self._pool.checkedout()

    def connections_idle(self) -> int:
        return self._pool.checkedin()

    @property
    def _pool(self) -> QueuePool:
        return cast(QueuePool, self.engine.sync_engine.pool)

    async def dispose(self) -> None:
        await self.engine.dispose()
