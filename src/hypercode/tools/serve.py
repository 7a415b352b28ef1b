"""Runs the tools process."""

import structlog

from hypercode.domain.address import authority
from hypercode.policy.files import load_policy
from hypercode.sandbox.client import SandboxClient
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.telemetry.metrics import watch_connections
from hypercode.tools.app import CallRules, all_tools, create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.listeners import listen

log = structlog.get_logger(__name__)


async def serve(settings: Settings, database: Database) -> None:
    """Compose the process from its settings, and run it until it is told to stop.

    Raises InvalidPolicy before it listens: no agent calls a tool under a policy that nobody could read.
    """
    policy = load_policy(settings.policy_file)
    log.info("policy.loaded", name=policy.name, version=policy.version, sha256=policy.sha256)
    watch_connections(database.connections_in_use, database.connections_idle, database.most_connections)
    keys = PlatformKeys.read(settings.keys_dir)
    sandboxes = SandboxClient(settings.address_of("sandboxd"), keys.sandboxd)
    mcp = settings.address_of("tools")
    registry = all_tools(database, keys, settings)
    rules = CallRules(policy, approvals=settings.approvals)
    apps = create_app(database, sandboxes, keys, registry, rules=rules, host=authority(mcp, "tools"))
    await listen(apps, database, mcp=mcp, platform=settings.address_of("platform"))
