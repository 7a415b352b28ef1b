"""Where the judges meet the server: Postgres of its own, the tools process's app, and a listener on loopback TCP.

Two profiles. PRODUCTION is what ``hypercode`` composes: ``create_app`` and nothing else. FIXTURES is the same app,
dispatcher, policy check, ledger and audit, with the suite's fixture tools registered beside the platform's, a rule
that allows them, and handlers for what the platform does not have (prompts, completion). The platform never composes
it: there is no setting for it, and it lives outside ``src``.
"""

import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from biscuit_auth import KeyPair
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.types import SubscriptionsListenRequestParams
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.conformance import fixture_resources
from tests.conformance.exchange import wrap_calls
from tests.conformance.fixture_questions import question_tools
from tests.conformance.fixture_tools import PLAIN_TOOLS
from tests.fixtures.runs import add_run
from tests.fixtures.serving import serving

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.policy.files import BUILT_IN
from hypercode.policy.grants import mint
from hypercode.policy.rules import Effect, Rule
from hypercode.sandbox.client import SandboxClient
from hypercode.store import embedded
from hypercode.store.database import Database
from hypercode.store.migrate import migrate
from hypercode.store.tables import RunRow
from hypercode.tools.app import CallRules, all_tools, create_app, create_dispatcher
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.mcp_app import MCP_PATH, Extension, create_mcp_app
from hypercode.tools.registry import Registry
from hypercode.tools.rounds import Rounds


class Profile(Enum):
    PRODUCTION = "production"
    FIXTURES = "conformance"


@dataclass(frozen=True)
class Stand:
    """A running server. ``url`` needs the token; ``open_url`` adds it, for judges that can't send a header."""

    url: str
    open_url: str
    token: str
    run: RunRow
    database: Database


class GrantFront:
    """Adds the run's grant to requests that carry none. Loopback only, for the time of a judgement."""

    def __init__(self, app: ASGIApp, token: str, host: str) -> None:
        self._app, self._header, self._host = app, (b"authorization", f"Bearer {token}".encode()), host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


@contextlib.contextmanager
def postgres() -> Any:
    """A migrated database of its own; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="hc-cf-", dir="/tmp") as directory:
        home = Path(directory)
        home.chmod(0o711)
        server = embedded.prepare(home / "postgres")
        server.start()
        try:
            migrate(server.url)
            yield server.url
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def standing(database_url: str, profile: Profile) -> AsyncIterator[Stand]:
    """Serve a profile on a free port of the loopback interface while the block lasts."""
    pair = KeyPair()
    keys = PlatformKeys("p", "v", "s", grant_public_hex=bytes(pair.public_key.to_bytes()).hex())
    database = Database(database_url)
    run = await add_run(database, AgentRole.CODER)
    token = mint(bytes(pair.private_key.to_bytes()).hex(), _grant(run))
    # No engine is needed: no scenario reaches a container.
    sandboxes = SandboxClient(Path("/nonexistent/sandboxd.sock"), keys.sandboxd)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"localhost:{listener.getsockname()[1]}"
        if profile is Profile.PRODUCTION:
            app = create_app(database, sandboxes, keys, host=host).mcp
        else:
            app = _with_fixtures(database, sandboxes, keys, host)
        front = GrantFront(app, token, host)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.dispose)
            stack.push_async_callback(sandboxes.close)
            async with serving(_both(app, front), listener):
                base = f"http://{host}"
                yield Stand(base + MCP_PATH, base + OPEN + MCP_PATH, token, run, database)


OPEN = "/open"


def _both(closed: ASGIApp, front: ASGIApp) -> ASGIApp:
    """Paths under /open go through the front, the others straight to the app."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(OPEN + "/"):
            scope = {**scope, "path": scope["path"][len(OPEN) :]}
            await front(scope, receive, send)
        else:
            await closed(scope, receive, send)

    return app


def _grant(run: RunRow) -> Grant:
    return Grant(
        organisation_id=run.organisation_id,
        project_id=run.project_id,
        task_id=run.task_id,
        run_id=run.id,
        workspace_id=run.workspace_id,
        role=AgentRole(run.role),
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )


def _with_fixtures(database: Database, sandboxes: SandboxClient, keys: PlatformKeys, host: str) -> Starlette:
    """The platform's app, tools and rules, and the suite's fixtures beside them."""
    bus = InMemorySubscriptionBus()
    fixtures = [*PLAIN_TOOLS, *question_tools(bus)]

    def register(server: Server[dict[str, Any]]) -> None:
        fixture_resources.register(server)
        server.add_request_handler(
            "subscriptions/listen", SubscriptionsListenRequestParams, ListenHandler(bus)
        )
        wrap_calls(server)

    names = frozenset(tool.name for tool in fixtures)
    rule = Rule(id="conformance.fixtures", effect=Effect.ALLOW, tools=names)
    roles = {**BUILT_IN.roles, AgentRole.CODER: (*BUILT_IN.roles[AgentRole.CODER], rule)}
    rules = CallRules(policy=replace(BUILT_IN, name="conformance", roles=roles))
    registry = Registry([*all_tools(database, keys), *fixtures])
    dispatcher = create_dispatcher(database, sandboxes, registry, rules, "conformance")
    return create_mcp_app(
        Rounds(dispatcher, database, rules.approvals),
        keys,
        routes=[],
        host=host,
        limits=rules.limits,
        extension=Extension(register),
    )
