"""``hypercode tools``: MCP for agents, /platform for the platform's own work."""

import asyncio

from hypercode.cli.environment import database_url, process_settings
from hypercode.store.database import open_database
from hypercode.tools.serve import serve


def tools() -> None:
    """Run the tools process, on two unix sockets."""
    settings = process_settings("tools")
    asyncio.run(serve(settings, open_database(database_url(settings), settings.redis_url)))
