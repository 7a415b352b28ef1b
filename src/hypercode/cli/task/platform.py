"""For verbs that ask more than the database: what is read of the run first, and a way to the running platform."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.database import instance_database
from hypercode.cli.task.target import run_named
from hypercode.domain.errors import Unavailable
from hypercode.platform_api.client import PlatformClient
from hypercode.settings import Settings
from hypercode.store.tables import RunRow

Read = TypeVar("Read")
Result = TypeVar("Result")


def with_platform(
    target: str,
    read: Callable[[AsyncSession, RunRow], Awaitable[Read]],
    work: Callable[[PlatformClient, Read], Awaitable[Result]],
) -> Result:
    """Read in one transaction, then work with the tools process, which is started for as long if none runs."""

    async def do() -> Result:
        settings = Settings()
        async with instance_database(settings, lambda text: typer.echo(text, err=True)) as database:
            async with database.transaction() as session:
                found = await read(session, await run_named(session, target))
            client = PlatformClient(settings.address_of("platform"), _key(settings))
            try:
                return await work(client, found)
            finally:
                await client.close()

    return asyncio.run(do())


def _key(settings: Settings) -> str:
    try:
        return (settings.keys_dir / "platform.key").read_text().strip()
    except OSError as error:
        raise Unavailable("The key platform.key can't be read.", hint="`hypercode keys` makes it.") from error
