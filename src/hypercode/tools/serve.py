"""Runs the tools process."""

from hypercode.domain.address import authority
from hypercode.sandbox.client import SandboxClient
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.telemetry.metrics import watch_connections
from hypercode.tools.app import create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.listeners import listen


async def serve(settings: Settings, database: Database) -> None:
    """Compose the process from its settings, and run it until it is told to stop."""
    watch_connections(database.connections_in_use, database.connections_idle, database.most_connections)
    keys = PlatformKeys.read(settings.keys_dir)
    sandboxes = SandboxClient(settings.address_of("sandboxd"), keys.sandboxd)
    mcp = settings.address_of("tools")
    apps = create_app(database, sandboxes, keys, host=authority(mcp, "tools"))
    await listen(apps, database, mcp=mcp, platform=settings.address_of("platform"))
