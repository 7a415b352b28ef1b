"""The two listeners of the tools process: one for agents, one for the platform."""

from pathlib import Path

import anyio
import structlog
import uvicorn
from starlette.applications import Starlette

from hypercode.domain.address import Address, binding
from hypercode.store.database import Database
from hypercode.store.journal import end_predecessors, reconcile
from hypercode.tools.app import ToolsApps

log = structlog.get_logger(__name__)


async def listen(apps: ToolsApps, database: Database, *, mcp: Address, platform: Address) -> None:
    """Settle what a dead process left open, then serve both until told to stop."""
    async with database.transaction() as session:
        ended = await end_predecessors(session)
    async with database.transaction() as session:
        left_open = await reconcile(session, apps.owner)
    log.info("tools.starting", left_open=left_open, connections_ended=ended)
    servers = [_server(apps.mcp, mcp), _server(apps.platform, platform)]

    async def run(server: uvicorn.Server) -> None:
        await server.serve()
        for each in servers:
            each.should_exit = True

    async with anyio.create_task_group() as group:
        for server in servers:
            group.start_soon(run, server)


def _server(app: Starlette, address: Address) -> uvicorn.Server:
    if isinstance(address, Path):
        address.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=5, **binding(address)
    )
    return uvicorn.Server(config)
