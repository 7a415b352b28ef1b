"""``hypercode secret``: a value comes in through standard input, and never out again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select
from typer.testing import CliRunner, Result

from hypercode.cli.__main__ import app
from hypercode.cli.keys import ensure_keys
from hypercode.domain.errors import Conflict, HyperCodeError, InvalidArgument, NotFound
from hypercode.store.database import Database
from hypercode.store.sealing import unseal
from hypercode.store.secrets import belongs_to
from hypercode.store.tables import OrganisationRow, ProjectRow, SecretRow

VALUE = "correct horse battery"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch, own_database_url: str, tmp_path: Path) -> Path:
    """The keys of an older data directory, after a start with this version."""
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", own_database_url)
    monkeypatch.setenv("HYPERCODE_DATA_DIR", str(tmp_path))
    directory = tmp_path / "keys"
    ensure_keys(directory)
    for half in ("secrets.key", "secrets.pub"):
        (directory / half).unlink()
    ensure_keys(directory)
    return directory


@pytest.fixture(scope="module", autouse=True)
def projects(own_database_url: str) -> None:
    """Two organisations, each with a project of the same name, and one with another."""

    async def write() -> None:
        database = Database(own_database_url)
        async with database.transaction() as session:
            session.add_all([OrganisationRow(id=each, name=each) for each in ("org_a", "org_b")])
            await session.flush()
            for id_, organisation, name in (
                ("prj_a", "org_a", "inventory"),
                ("prj_b", "org_b", "inventory"),
                ("prj_c", "org_a", "billing"),
            ):
                session.add(
                    ProjectRow(
                        id=id_, organisation_id=organisation, name=name, source_kind="local_path", source="/p",
                        environment={}, created_at=datetime.now(UTC),
                    )
                )  # fmt: skip
        await database.dispose()

    asyncio.run(write())


def secret(*words: str, value: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["secret", *words], input=value)


def kept(url: str, name: str) -> SecretRow:
    async def read() -> SecretRow:
        database = Database(url)
        async with database.transaction() as session:
            row = (await session.scalars(select(SecretRow).where(SecretRow.name == name))).one()
        await database.dispose()
        return row

    return asyncio.run(read())


def test_a_value_is_set_listed_and_deleted_without_being_shown(keys: Path, own_database_url: str) -> None:
    done = secret("set", "API_TOKEN", "--project", "billing", value=f"{VALUE}\n")
    assert done.exit_code == 0, done.output
    listed = secret("list", "--project", "prj_c")
    assert "API_TOKEN  version 1, changed" in listed.output
    assert "by the terminal, never used" in listed.output
    row = kept(own_database_url, "API_TOKEN")
    assert row.sealed is not None
    assert unseal((keys / "secrets.key").read_text(), row.sealed, belongs_to(row)) == VALUE.encode()
    gone = secret("delete", "API_TOKEN", "--project", "billing")
    assert gone.exit_code == 0, gone.output
    assert "no secrets" in secret("list", "--project", "billing").output
    assert VALUE not in done.output + listed.output + gone.output
    assert isinstance(secret("delete", "API_TOKEN", "--project", "billing").exception, NotFound)


@pytest.mark.parametrize(
    ("words", "value", "error"),
    [
        (["API_TOKEN", "--project", "inventory"], VALUE, Conflict),
        (["API_TOKEN", "--project", "nothing"], VALUE, NotFound),
        (["LD_PRELOAD", "--project", "billing"], VALUE, InvalidArgument),
        (["lower", "--project", "billing"], VALUE, InvalidArgument),
        (["API_TOKEN", "--project", "billing"], "short", InvalidArgument),
        (["API_TOKEN", "--project", "billing"], "ab" * 20_000, InvalidArgument),
        (["API_TOKEN", "--project", "billing"], b"\xff\xfe rubbish of bytes", InvalidArgument),
        (["API_TOKEN", "--project", "billing"], "", InvalidArgument),
    ],
)
def test_what_cannot_be_kept_is_refused_without_being_shown(
    words: list[str], value: str | bytes, error: type[HyperCodeError]
) -> None:
    refused = secret("set", *words, value=value)
    assert isinstance(refused.exception, error), refused.output
    assert VALUE not in refused.output + str(refused.exception)
    assert "no secrets" in secret("list", "--project", "billing").output


def test_a_value_is_never_an_argument() -> None:
    refused = secret("set", "API_TOKEN", VALUE, "--project", "billing")
    assert refused.exit_code == 2


def test_a_key_that_is_there_is_not_made_again(keys: Path) -> None:
    before = (keys / "secrets.key").read_text()
    ensure_keys(keys)
    assert (keys / "secrets.key").read_text() == before
    assert (keys / "secrets.key").stat().st_mode & 0o777 == 0o600
