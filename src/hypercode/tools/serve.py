"""Runs the tools process: two unix sockets, one for agents and one for the platform."""

import anyio
import structlog
import uvicorn
from starlette.applications import Starlette

from hypercode.sandbox.client import SandboxClient
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.journal import reconcile
from hypercode.tools.app import create_app
from hypercode.tools.keys import PlatformKeys

log = structlog.get_logger(__name__)


async def serve(settings: Settings, database: Database) -> None:
    """Run the process until it is told to stop: settle what a dead process left open, then listen."""
    keys = PlatformKeys.read(settings.keys_dir)
    sandboxes = SandboxClient(settings.socket("sandboxd"), keys.sandboxd)
    apps = create_app(database, sandboxes, keys)
    async with database.transaction() as session:
        uncertain = await reconcile(session, apps.owner)
    log.info("tools.starting", left_open=uncertain)
    servers = [
        _server(apps.mcp, settings, "tools"),
        _server(apps.platform, settings, "platform"),
    ]

    async def run(server: uvicorn.Server) -> None:
        await server.serve()
        for each in servers:
            each.should_exit = True

    async with anyio.create_task_group() as group:
        for server in servers:
            group.start_soon(run, server)


def _server(app: Starlette, settings: Settings, name: str) -> uvicorn.Server:
    path = settings.socket(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = uvicorn.Config(
        app, uds=str(path), log_level="warning", access_log=False, timeout_graceful_shutdown=5
    )
    return uvicorn.Server(config)
