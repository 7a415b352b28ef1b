"""``hypercode gateway``: people, REST, streams, the web UI."""

import asyncio
import socket

import uvicorn

from hypercode.cli.environment import database_url, process_settings
from hypercode.cli.listener import bind
from hypercode.gateway.app import create_app
from hypercode.runs.attempts import read_grant_key
from hypercode.settings import Settings
from hypercode.store.cache import seal_key
from hypercode.store.database import Database, open_database
from hypercode.telemetry.metrics import watch_connections


def gateway() -> None:
    """Run the gateway on HYPERCODE_GATEWAY__HOST and __PORT, and on its unix socket."""
    settings = process_settings("gateway")
    asyncio.run(serve(settings, _database(settings)))


def _database(settings: Settings) -> Database:
    seal = seal_key(read_grant_key(settings.keys_dir)) if settings.redis_url else None
    return open_database(database_url(settings), settings.redis_url, seal)


async def serve(settings: Settings, database: Database) -> None:
    watch_connections(database.connections_in_use, database.connections_idle, database.most_connections)
    listener = bind(settings)
    path = settings.socket("gateway")
    path.unlink(missing_ok=True)
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    local.bind(str(path))
    path.chmod(0o600)
    config = uvicorn.Config(
        create_app(settings, database),
        log_config=None,
        access_log=False,
        server_header=False,
        # Anyone on this machine could step round the limit on sign-ins with a made-up X-Forwarded-For.
        proxy_headers=False,
        ws_max_size=64 * 1024,
        # A third of a megabyte a watcher, for messages that are short.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=3,
    )
    await uvicorn.Server(config).serve(sockets=[listener, local])
