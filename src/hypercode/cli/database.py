"""The database of this instance, for commands that read it while the platform runs or not."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from hypercode.cli.supervisor import attached
from hypercode.settings import Settings
from hypercode.store.database import Database, open_database


@asynccontextmanager
async def instance_database(settings: Settings, say: Callable[[str], None]) -> AsyncGenerator[Database]:
    """That of HYPERCODE_DATABASE_URL, else that of the platform on this data directory, started if need be."""
    if settings.database_url is not None:
        async with _opened(settings.database_url, settings.redis_url) as database:
            yield database
        return
    async with (
        attached(settings, say) as platform,
        _opened(platform.database_url, platform.redis_url) as database,
    ):
        yield database


@asynccontextmanager
async def _opened(url: str, redis_url: SecretStr | None) -> AsyncGenerator[Database]:
    database = open_database(url, redis_url)
    try:
        yield database
    finally:
        await database.dispose()
