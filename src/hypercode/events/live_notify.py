"""Wake-ups by Postgres NOTIFY, for places without Redis."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import structlog
from sqlalchemy import make_url

logger = structlog.get_logger(__name__)
RECONNECT_S = 0.5


class NotifyWakeUps:
    """Listens on one channel with a connection of its own, and comes back when Postgres does."""

    def __init__(self, database_url: str, channel: str) -> None:
        self._conninfo = (
            make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        )
        self._channel = channel

    async def listen(self) -> AsyncIterator[str]:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._conninfo, autocommit=True
                ) as connection:
                    await connection.execute(f'LISTEN "{self._channel}"'.encode())
                    async for notification in connection.notifies():
                        yield notification.payload
            except psycopg.OperationalError as error:
                logger.warning("wake_ups.lost", channel=self._channel, reason=str(error))
                await asyncio.sleep(RECONNECT_S)
