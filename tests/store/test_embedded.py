"""The embedded server: started, stopped, found again, and never in somebody else's data."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command

from hypercode.domain.errors import Conflict, Unavailable
from hypercode.store import embedded
from hypercode.store.migrate import alembic_config, migrate


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hc-em-", dir="/tmp") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory)


def test_it_survives_a_stop_and_a_start_with_its_data(home: Path) -> None:
    server = embedded.prepare(home / "postgres")
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.start()  # a running one is used as it is
    server.stop()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server.url)
    server.start()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    server.stop()
    assert stat.S_IMODE((home / "postgres" / "data").stat().st_mode) & 0o077 == 0


def test_data_of_another_version_is_refused_and_left_alone(home: Path) -> None:
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    with pytest.raises(Conflict, match="PostgreSQL 12"):
        embedded.prepare(home / "postgres").start()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_path_too_long_for_a_socket_says_so(home: Path) -> None:
    with pytest.raises(Conflict, match="too long"):
        embedded.prepare(home / ("x" * 90))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the directory away from the service user")
def test_a_server_that_can_not_start_gives_its_reason(home: Path) -> None:
    server = embedded.prepare(home / "postgres")
    server.start()
    server.stop()
    (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(Unavailable, match="no_such_setting"):
        server.start()


def test_the_models_and_the_migrations_agree(database_url: str) -> None:
    migrate(database_url)  # again: nothing to do
    command.check(alembic_config(database_url))
