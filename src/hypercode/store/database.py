"""The one door to Postgres: an engine, and transactions that commit at their end.

Where a Redis is configured, wake-ups go through it as soon as the transaction that asked for them has committed.
"""

import copy
import importlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg.rows import TupleRow
from pydantic import SecretStr
from sqlalchemy import URL, QueuePool, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.util import greenlet_spawn

from hypercode.domain.errors import Unavailable
from hypercode.store.ownership import OWNER, OwnedSession, Owner, check_owner

if TYPE_CHECKING:
    from hypercode.store.redis_door import RedisDoor

Statements = psycopg.AsyncConnection[TupleRow]
"""A connection of the driver's own."""

DATABASE_AWAY = (OperationalError, InterfaceError, psycopg.OperationalError, psycopg.InterfaceError)
"""What a transaction raises while Postgres is away, and once for each connection from before it came back."""

REDIS = "redis"
WAKE_UPS = "wake_ups"

OVERFLOW = 10
IDLE_TRANSACTION_S = 10
"""Less than what a lease leaves of the time within which a frozen worker's runs have to go on."""

SINGLE = 10


def database_away(error: Exception) -> Unavailable:
    """What is told of such an error; whoever may do the work again does."""
    return Unavailable(
        f"The database does not answer ({type(error).__name__}).",
        hint="See that every part of the platform is running, then try again.",
    )


def psycopg_url(url: str) -> URL:
    """Return the URL with the driver this project uses, whatever driver (or none) it names."""
    return make_url(url).set(drivername="postgresql+psycopg")


def named(url: str, application: str) -> str:
    """The URL with which Postgres shows a process's connections under its name."""
    more = psycopg_url(url).update_query_dict({"application_name": application})
    return more.render_as_string(hide_password=False)


def _limit_idle_transactions(connection: DBAPIConnection, _: object) -> None:
    """A process that was frozen in the middle of a transaction must not hold its locks until somebody thaws it."""
    cursor = connection.cursor()
    cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_TRANSACTION_S}s'")
    cursor.close()
    connection.commit()


async def unhurried(session: AsyncSession, seconds: int = 0) -> None:
    """This transaction may wait for the world outside that long; as long as it takes, with 0."""
    await session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{int(seconds)}s'"))


class Database:
    """Holds the connection pool of one process, and its way to Redis when there is one."""

    def __init__(self, url: str, *, pool_size: int = 5, redis: "RedisDoor | None" = None) -> None:
        self.url = url
        self.redis = redis
        self.engine = create_async_engine(
            psycopg_url(url),
            pool_size=pool_size,
            max_overflow=OVERFLOW,
            pool_pre_ping=False,
            pool_use_lifo=True,
        )
        event.listen(self.engine.sync_engine, "connect", _limit_idle_transactions)
        self._single = create_async_engine(
            psycopg_url(url), pool_size=SINGLE, max_overflow=0, pool_reset_on_return=None, pool_use_lifo=True,
            connect_args={"autocommit": True},
        )  # fmt: skip
        self.most_connections = pool_size + OVERFLOW + SINGLE
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)
        self._owner: Owner | None = None

    def owned(self, owner: Owner) -> "Database":
        """The same for a worker's work on a run: once another worker has the run, no transaction commits."""
        database = copy.copy(self)
        database._owner = owner
        database._sessions = async_sessionmaker(
            self.engine, expire_on_commit=False, sync_session_class=OwnedSession
        )
        return database

    def worker_on(self, run_id: str) -> str | None:
        """The worker whose work on this run is fenced here."""
        return self._owner.worker_id if self._owner is not None and self._owner.run_id == run_id else None

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """One request or step is one transaction: committed at the end, rolled back on any error."""
        async with self._sessions(info=self._info()) as session:
            async with session.begin():
                yield session
                if self._owner is not None:
                    await check_owner(session)
            if self.redis is not None and session.info[WAKE_UPS]:
                await self.redis.publish(session.info[WAKE_UPS])

    @asynccontextmanager
    async def single_statements(self) -> AsyncGenerator[Statements]:
        """For a hot path: each statement is a transaction of its own, one trip to Postgres, no session, no engine."""
        lent = await self._single.raw_connection()
        connection = cast(Statements, lent.driver_connection)
        try:
            yield connection
        finally:
            if connection.closed:
                await greenlet_spawn(lent.invalidate)
            await greenlet_spawn(lent.close)

    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = {} if self.redis is None else {REDIS: self.redis, WAKE_UPS: {}}
        return info if self._owner is None else info | {OWNER: self._owner}

    def connections_in_use(self) -> int:
        return sum(pool.checkedout() for pool in self._pools())

    def connections_idle(self) -> int:
        return sum(pool.checkedin() for pool in self._pools())

    def _pools(self) -> list[QueuePool]:
        return [cast(QueuePool, engine.sync_engine.pool) for engine in (self.engine, self._single)]

    async def dispose(self) -> None:
        if self.redis is not None:
            await self.redis.close()
        await self._single.dispose()
        await self.engine.dispose()


def open_database(url: str, redis_url: SecretStr | None, seal_key: bytes | None = None) -> Database:
    """Make the Database of a process; Redis's client is loaded only where it is wanted."""
    if redis_url is None:
        return Database(url)
    module = importlib.import_module("hypercode.store.redis_door")
    return Database(url, redis=module.RedisDoor(redis_url.get_secret_value(), seal_key))


async def statements_of(session: AsyncSession) -> Statements:
    """The driver's connection inside of a session's transaction; what the session holds back is not flushed."""
    raw = await (await session.connection()).get_raw_connection()
    return cast(Statements, raw.driver_connection)


def redis_of(session: AsyncSession) -> "RedisDoor | None":
    return session.info.get(REDIS)


async def wake(session: AsyncSession, channel: str, id_: str) -> None:
    """Say on a channel, once this transaction has committed, that an id is worth a look. It may get lost."""
    if redis_of(session) is not None:
        # A dict keeps the order and says nothing twice.
        session.info[WAKE_UPS][channel, id_] = None
        return
    await session.execute(text("SELECT pg_notify(:channel, :id)"), {"channel": channel, "id": id_})
