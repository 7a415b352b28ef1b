"""The gateway as a process: its one TCP listener."""

import uvicorn

from hypercode.domain.errors import Unavailable
from hypercode.gateway.app import create_app
from hypercode.settings import Settings
from hypercode.store.database import Database

# Open event streams never end by themselves; a stop does not wait for them longer than this.
GRACE_S = 2


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    if settings.database_url is None:
        raise Unavailable("The gateway has no database.", hint="Set HYPERCODE_DATABASE_URL.")
    database = Database(settings.database_url)
    config = uvicorn.Config(
        create_app(settings, database),
        host=settings.gateway.host,
        port=settings.gateway.port,
        # Requests are logged by request_log.py, with their ids.
        log_config=None,
        access_log=False,
        server_header=False,
        # X-Forwarded-For of anyone on this machine would step round the limit on sign-ins.
        proxy_headers=False,
        ws_max_size=64 * 1024,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await database.dispose()
