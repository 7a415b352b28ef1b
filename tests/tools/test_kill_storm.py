"""kill -9 over the real chain, at random moments: every tool's books stay exact, and no effect comes twice.

Postgres, the tools process, sandboxd and the containers are the real ones; callers of every kind go on while a process
is killed and started again. `make chaos` makes 200 rounds; `make test` a few. The seed is printed.
"""

import contextlib
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
import storm_stories as stories
from hands import open_workspace
from storm import Killable, Said, Storm, calling
from storm_books import BETWEEN, exact_books, no_effect_twice, sealed, traces, traces_in_rows
from storm_person import Person
from tests.fixtures.rows import everything_in
from tests.fixtures.runs import add_run

from hypercode.agents.mcp_client import ToolSession
from hypercode.cli.children import Starter
from hypercode.cli.keys import ensure_keys
from hypercode.domain.role import AgentRole
from hypercode.platform_api.client import PlatformClient
from hypercode.sandbox.docker import DockerSandboxes, instance_of
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.secrets import set_secret
from hypercode.store.tables import ProjectRow, RunRow
from hypercode.tools.app import all_tools
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.redaction import forms

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

ROUNDS = int(os.environ.get("HYPERCODE_KILL_ROUNDS", "3"))
CANARY = "c4nary/S3cret+with space&more~zzz"
CODER: dict[str, tuple[stories.Story, ...]] = {
    "files": (stories.files,),
    "shell": (stories.shell, stories.processes),
    "commits": (stories.commits,),
    "reads": (stories.reads, stories.reads, stories.checks),
    "asks": (stories.secrets, stories.protected, stories.questions),
    "apps": (stories.containers, stories.containers, stories.deployments, stories.builds),
}
TREE: dict[str, tuple[stories.Story, ...]] = {"trees": (stories.trees,)}
ARCHITECT: dict[str, tuple[stories.Story, ...]] = {"plans": (stories.plans,)}
BEGINNING = """
mkdir -p effects tree site && printf 'FROM environment\\nCOPY calc.txt /calc.txt\\n' > site/Dockerfile
echo 1 > site/calc.txt; touch /tmp/marks
"""
FOUND = """
cat /tmp/marks*; find . -type f -printf '%f\\n'; grep -rhoE 'k:[a-z0-9-]+;' effects .github 2>/dev/null; true
"""
RUNNING = """exec python3 -c "
import os, pathlib
for each in sorted(pathlib.Path('/proc').glob('[0-9]*')):
    if each.name != str(os.getpid()):
        print((each / 'cmdline').read_bytes())
" | sort"""


@dataclass(frozen=True)
class Chain:
    """The processes, and the three runs that everything is done in."""

    settings: Settings
    database: Database
    tools: Killable
    sandboxd: Killable
    coder: RunRow
    tree: RunRow
    architect: RunRow

    @property
    def mcp(self) -> Path:
        return self.settings.socket("tools")

    @contextlib.asynccontextmanager
    async def platform(self) -> AsyncIterator[PlatformClient]:
        keys = PlatformKeys.read(self.settings.keys_dir)
        client = PlatformClient(self.settings.socket("platform"), keys.platform)
        try:
            yield client
        finally:
            await client.close()

    async def shell(self, run: RunRow, script: str) -> str:
        """What a script prints in the run's container, between storms."""
        async with ToolSession(self.mcp, run.grant_token) as tools:
            call = {"script": script, "max_output": 131_072}
            done = await tools.call("sh_exec", call, key=f"{BETWEEN}{time.monotonic_ns()}")
        assert done.ok, done.text
        assert (done.data["exit_code"], done.data["truncated"]) == (0, False), done.text
        return str(done.data["stdout"])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project with a test that fails."""
    (tmp_path / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/__init__.py").write_text("")
    (tmp_path / "tests/test_calc.py").write_text(
        "import unittest\nfrom calc import add\n\n\nclass Adds(unittest.TestCase):\n"
        "    def test_add(self):\n        self.assertEqual(add(2, 3), 5)\n"
    )
    return tmp_path


@pytest.fixture
async def chain(own_database_url: str, minting: Any, project: Path) -> AsyncIterator[Chain]:
    """Everything is started, opened, and at the end removed."""
    with tempfile.TemporaryDirectory(prefix="hc-k-", dir="/tmp") as directory:
        settings = Settings(data_dir=Path(directory), database_url=own_database_url)
        settings.keys_dir.mkdir()
        (settings.keys_dir / "grant.pub").write_text(minting.public_hex)
        (settings.keys_dir / "grant.key").write_text(minting.private_hex)
        ensure_keys(settings.keys_dir)
        database = Database(own_database_url)
        starter = Starter(settings.data_dir, os.environ)
        await starter.open(["tools", "sandboxd"])
        try:
            yield await _opened(settings, database, starter, minting, project)
        finally:
            await database.dispose()
            await starter.close()
            engine = DockerSandboxes(settings.sandbox, instance=instance_of(settings.data_dir))
            await engine.purge(images=True)
            await engine.close()


async def _opened(
    settings: Settings, database: Database, starter: Starter, minting: Any, project: Path
) -> Chain:
    variables = {"HYPERCODE_DATA_DIR": str(settings.data_dir), "HYPERCODE_DATABASE_URL": database.url}
    tools, sandboxd = (
        Killable(starter, name, variables, settings.socket(name)) for name in ("tools", "sandboxd")
    )
    coder, tree = await add_run(database), await add_run(database)
    architect = await add_run(database, AgentRole.ARCHITECT)
    async with database.transaction() as session:
        for run in (coder, tree, architect):
            run.grant_token = minting.token(run)
            await session.merge(run)
        owner = await session.get_one(ProjectRow, coder.project_id)
        public = (settings.keys_dir / "secrets.pub").read_text().strip()
        await set_secret(session, public, owner, "CANARY", CANARY, "a test")
    chain = Chain(settings, database, tools, sandboxd, coder, tree, architect)
    async with chain.sandboxd.running() as first, chain.tools.running() as second, chain.platform() as client:
        await chain.sandboxd.ready(first)
        await chain.tools.ready(second)
        for run in (coder, tree):
            await open_workspace(run, project, client)
            await chain.shell(run, BEGINNING)
    return chain


async def telling(storm: Storm, run: RunRow, lanes: dict[str, tuple[stories.Story, ...]]) -> None:
    """One caller a lane, each telling one story after the other until the storm is over; both revisions of MCP."""

    async def tell(name: str, choice: Sequence[stories.Story], mode: str) -> None:
        async with calling(storm, run, run.grant_token, name, mode) as caller:
            while not storm.over:
                await storm.dice.choice(choice)(caller)

    async with anyio.create_task_group() as group:
        for number, (name, choice) in enumerate(lanes.items()):
            group.start_soon(tell, name, choice, ("auto", "legacy")[number % 2])


@pytest.mark.promise(3)
async def test_every_tool_keeps_exact_books_while_the_tools_process_is_killed(chain: Chain) -> None:
    seed = int(os.environ.get("HYPERCODE_KILL_SEED", random.randrange(1 << 32)))
    storm = Storm(chain.tools, chain.mcp, Person(chain.database), seed)
    began = time.monotonic()
    async with chain.sandboxd.running() as sandboxd:
        await chain.sandboxd.ready(sandboxd)
        before = await _between(chain)
        try:
            await _blow(storm, chain)
        finally:
            _print(storm, seed, time.monotonic() - began)
        after = await _between(chain)
    assert storm.odd == []
    assert {name: after[name] for name in ("coder", "tree")} == {
        name: before[name] for name in ("coder", "tree")
    }
    await _books(chain, storm)
    effects = traces(after["effects"]) + traces(after["commits"]) + await traces_in_rows(chain.database)
    print(f"{no_effect_twice(storm.said, effects, storm.must)} calls with effects that were counted")
    _nothing_is_left_running()
    kept = await everything_in(chain.database) + "".join(
        log.read_text(errors="replace") for log in chain.settings.data_dir.glob("*.log")
    )
    kept += "".join(f"{each.outcome.text} {each.outcome.data}" for each in storm.said)
    assert {form for form in forms(CANARY) if form in kept} == set()


async def _blow(storm: Storm, chain: Chain) -> None:
    told = anyio.Event()

    async def tell() -> None:
        async with anyio.create_task_group() as callers:
            callers.start_soon(telling, storm, chain.coder, CODER)
            callers.start_soon(telling, storm, chain.tree, TREE)
            callers.start_soon(telling, storm, chain.architect, ARCHITECT)
        told.set()

    with anyio.fail_after(60 + 10 * ROUNDS):
        async with anyio.create_task_group() as group:
            group.start_soon(tell)
            await storm.blow(chain.tools, ROUNDS)
            async with chain.tools.running() as process:
                await storm.calm(chain.tools, process)
                await told.wait()


async def _between(chain: Chain) -> dict[str, str]:
    """What runs in the containers, and the traces that there are, while nobody calls."""
    async with chain.tools.running() as process:
        await chain.tools.ready(process)
        return {
            "coder": await chain.shell(chain.coder, RUNNING),
            "tree": await chain.shell(chain.tree, RUNNING),
            "effects": await chain.shell(chain.coder, FOUND),
            "commits": await _commits(chain),
        }


async def _commits(chain: Chain) -> str:
    """The messages of all commits of the coder."""
    words, cursor = "", None
    async with ToolSession(chain.mcp, chain.coder.grant_token) as tools:
        while True:
            call = {"limit": 500, **({"cursor": cursor} if cursor else {})}
            page = await tools.call("git_log", call, key=f"{BETWEEN}{time.monotonic_ns()}")
            assert page.ok, page.text
            words += str(page.data)
            if (cursor := page.data["next_cursor"]) is None:
                return words


async def _books(chain: Chain, storm: Storm) -> None:
    registry = all_tools(chain.database, PlatformKeys.read(chain.settings.keys_dir))
    repeatable = {tool.name for tool in registry if tool.read_only or tool.repeatable}
    by_run: dict[str, list[Said]] = {}
    for each in storm.said:
        by_run.setdefault(each.run_id, []).append(each)
    for run_id, said in by_run.items():
        await exact_books(chain.database, run_id, said, repeatable)
    await sealed(chain.database, by_run)


def _nothing_is_left_running() -> None:
    """A worker of a killed process ends by itself."""
    workers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if "hypercode.tools.symbol_worker" in (process.info["cmdline"] or [])
        and process.info["cmdline"][0] == sys.executable
    ]
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def _print(storm: Storm, seed: int, seconds: float) -> None:
    tools: dict[str, Counter[str]] = {}
    for each in storm.said:
        tools.setdefault(each.tool, Counter())[each.code] += 1
    repeats = sum(each.attempts > 1 for each in storm.said)
    print(
        f"seed {seed}: {dict(storm.kills)}, {len(storm.said)} calls, {repeats} asked for again, {seconds:.0f} s"
    )
    for tool, codes in sorted(tools.items()):
        print(f"  {tool}: {dict(codes)}")
    print("\n".join(storm.odd[:40]))
