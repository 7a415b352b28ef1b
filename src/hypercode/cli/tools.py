"""``hypercode tools``: MCP for agents, /platform for the platform's own work."""

import asyncio

from hypercode.cli.environment import database_url, process_settings
from hypercode.store.database import named, open_database
from hypercode.store.journal import TOOLS
from hypercode.tools.serve import serve


def tools() -> None:
    """Run the tools process, on two unix sockets."""
    settings = process_settings("tools")
    url = named(database_url(settings), TOOLS)
    asyncio.run(serve(settings, open_database(url, settings.redis_url)))
