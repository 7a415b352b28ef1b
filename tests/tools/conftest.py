"""A real tools process in this process: Postgres, the two apps on unix sockets, and minted grants."""

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
import uvicorn
from biscuit_auth import KeyPair
from tests.fixtures.runs import add_run

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.files import BUILT_IN
from hypercode.policy.grants import mint
from hypercode.policy.rules import Effect, Policy, Rule
from hypercode.sandbox import daemon
from hypercode.sandbox.client import SandboxClient
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.settings import SandboxSettings
from hypercode.store.database import Database
from hypercode.store.sealing import new_sealing_key
from hypercode.store.tables import RunRow
from hypercode.tools.app import CallRules, create_app
from hypercode.tools.keys import PlatformKeys

sys.path.insert(0, str(Path(__file__).parent))
from hands import Hands, opened


@pytest.fixture
def sockets() -> Iterator[Path]:
    # Short: a socket's path holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hc-t-", dir="/tmp") as directory:
        yield Path(directory)


class Mint:
    """A key pair, and grants made with it."""

    def __init__(self) -> None:
        pair = KeyPair()
        self.private_hex = bytes(pair.private_key.to_bytes()).hex()
        self.public_hex = bytes(pair.public_key.to_bytes()).hex()

    def token(
        self, run: RunRow, *, expires_in: timedelta = timedelta(hours=1), tools: set[str] | None = None
    ) -> str:
        return mint(
            self.private_hex,
            Grant(
                organisation_id=run.organisation_id,
                project_id=run.project_id,
                task_id=run.task_id,
                run_id=run.id,
                workspace_id=run.workspace_id,
                role=AgentRole(run.role),
                expires_at=datetime.now(UTC) + expires_in,
                tools=None if tools is None else frozenset(tools),
            ),
        )


@pytest.fixture(scope="session")
def minting() -> Mint:
    return Mint()


@pytest.fixture(scope="session")
def sealing() -> tuple[str, str]:
    """The private and the public half of the key of secrets."""
    return new_sealing_key()


@pytest.fixture(scope="session")
def keys(minting: Mint, sealing: tuple[str, str]) -> PlatformKeys:
    return PlatformKeys(
        platform="platform-key",
        verifier="verifier-key",
        sandboxd="sandboxd-key",
        preview="preview-key",
        grant_public_hex=minting.public_hex,
        secrets_private_hex=sealing[0],
    )


@pytest.fixture
def new_run(database: Database) -> Callable[..., Awaitable[RunRow]]:
    """Makes a running run with all the rows above it: new_run(role, parent=...)."""
    return partial(add_run, database)


@pytest.fixture
def listening() -> Callable[..., contextlib.AbstractAsyncContextManager[None]]:
    return _listening


@contextlib.asynccontextmanager
async def _listening(app: object, path: Path) -> AsyncIterator[None]:
    """Serve an app on a unix socket while the block lasts."""
    server = uvicorn.Server(uvicorn.Config(app, uds=str(path), log_level="warning", access_log=False))  # type: ignore[arg-type]
    up = anyio.Event()
    startup = server.startup

    async def started(sockets: object = None) -> None:
        await startup(sockets)  # type: ignore[arg-type]
        up.set()

    server.startup = started  # type: ignore[method-assign]
    async with anyio.create_task_group() as group:
        group.start_soon(server.serve)
        with anyio.fail_after(10):
            await up.wait()
        try:
            yield
        finally:
            server.should_exit = True


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with a failing test."""
    root = tmp_path_factory.mktemp("project")
    (root / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (root / "tests").mkdir()
    (root / "tests/test_calc.py").write_text(
        "from calc import add\n\ndef test_add():\n    assert add(2, 3) == 5\n\ndef test_zero():\n    assert add(1, 0) == 1\n"
    )
    return root


@pytest.fixture(scope="module")
async def hands(database_url: str, minting: Mint, keys: PlatformKeys, source: Path) -> AsyncIterator[Hands]:
    """A coder's run on a real engine, through every process boundary."""
    async with _hands(database_url, minting, keys, source, BUILT_IN) as hands:
        yield hands


@pytest.fixture(scope="module")
async def trusted_hands(
    database_url: str, minting: Mint, keys: PlatformKeys, source: Path
) -> AsyncIterator[Hands]:
    """The same under a policy that lets a coder deploy and use secrets without asking anybody."""
    rule = Rule(id="coder.deploys", effect=Effect.ALLOW, tools=frozenset({"deploy"}))
    asking = ("coder.asks_to_deploy", "coder.asks_for_secrets")
    rules = [each for each in BUILT_IN.roles[AgentRole.CODER] if each.id not in asking]
    policy = replace(BUILT_IN, roles={AgentRole.CODER: (*rules, rule)})
    async with _hands(database_url, minting, keys, source, policy) as hands:
        yield hands


@contextlib.asynccontextmanager
async def _hands(
    database_url: str, minting: Mint, keys: PlatformKeys, source: Path, policy: Policy
) -> AsyncIterator[Hands]:
    database = Database(database_url)
    engine = DockerSandboxes(SandboxSettings(), instance="tests-tools")
    run = await add_run(database)
    with tempfile.TemporaryDirectory(prefix="hc-t-", dir="/tmp") as directory:
        home = Path(directory)
        sandboxes = SandboxClient(home / "sandboxd.sock", keys.sandboxd)
        apps = create_app(database, sandboxes, keys, rules=CallRules(policy))
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(database.dispose)
            stack.push_async_callback(engine.close)
            await stack.enter_async_context(
                _listening(daemon.create_app(engine, keys.sandboxd), home / "sandboxd.sock")
            )
            stack.push_async_callback(sandboxes.close)
            await stack.enter_async_context(_listening(apps.mcp, home / "tools.sock"))
            await stack.enter_async_context(_listening(apps.platform, home / "platform.sock"))
            platform = PlatformClient(home / "platform.sock", keys.platform)
            stack.push_async_callback(platform.close)
            yield await stack.enter_async_context(
                opened(run, source, platform, home / "tools.sock", minting.token(run), sandboxes)
            )
