"""The door to Postgres: single statements of the driver's own, beside sessions."""

import psycopg
import pytest
from sqlalchemy import text

from hypercode.store.database import DATABASE_AWAY, Database, unhurried

pytestmark = pytest.mark.anyio


async def test_single_statements_commit_by_themselves_and_are_counted(database: Database) -> None:
    own = Database(database.url)
    async with own.single_statements() as connection:
        await connection.execute(b"CREATE TABLE IF NOT EXISTS single_statements (n int)")
        await connection.execute(b"INSERT INTO single_statements VALUES (1)")
        assert own.connections_in_use() == 1
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT count(*) FROM single_statements")) == 1
            await session.execute(text("DROP TABLE single_statements"))
    assert (own.connections_in_use(), own.connections_idle()) == (0, 1)
    await own.dispose()
    assert own.connections_idle() == 0


async def test_a_connection_that_postgres_ended_is_told_once_and_replaced(database: Database) -> None:
    own = Database(database.url)
    async with own.single_statements() as connection:
        backend = connection.info.backend_pid
    async with database.transaction() as session:
        ended = await session.scalar(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": backend})
    assert ended
    assert issubclass(psycopg.OperationalError, DATABASE_AWAY)
    with pytest.raises(psycopg.OperationalError):
        async with own.single_statements() as connection:
            await connection.execute(b"SELECT 1")
    async with own.single_statements() as connection:
        await connection.execute(b"SELECT 1")
    await own.dispose()


async def test_a_transaction_of_a_frozen_process_is_ended_unless_it_said_that_it_takes_its_time(
    database: Database,
) -> None:
    shown = text("SHOW idle_in_transaction_session_timeout")
    async with database.transaction() as session:
        assert await session.scalar(shown) == "10s"
        await unhurried(session, 90)
        assert await session.scalar(shown) == "90s"
        await unhurried(session)
        assert await session.scalar(shown) == "0"
    async with database.transaction() as session:
        assert await session.scalar(shown) == "10s"
