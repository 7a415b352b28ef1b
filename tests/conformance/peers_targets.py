"""Three servers behind one small face, so that one script can attack them: two published ones, and ours."""

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import anyio
from mcp import Client, MCPError, types
from mcp.client.stdio import StdioServerParameters, stdio_client
from tests.tools import conftest

ROOT = Path(__file__).parents[2]
FILESYSTEM = ROOT / ".tools/judges-node/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"
GIT = ROOT / ".tools/judges-python/mcp-server-git/bin/mcp-server-git"
CANARY = "CANARY-5f2b"
PATIENCE_S = 20.0


@dataclass(frozen=True)
class Said:
    """What came of a call; a call that did not end in time is ``hung``."""

    ok: bool
    text: str
    data: str = ""
    hung: bool = False


HUNG = Said(False, "", hung=True)


@dataclass(frozen=True)
class Ground:
    """A throw-away world: ``work`` is what a server was given, ``outside`` is not its business."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / "ws"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    @property
    def marker(self) -> Path:
        """A file that exists only if something of the repository's was run on the server's machine."""
        return self.outside / "marker"

    def untouched(self) -> bool:
        names = {path.name for path in self.outside.iterdir()} - {"marker"}
        return names == {"secret.txt", "other"} and (self.outside / "secret.txt").read_text() == CANARY


def git(folder: Path, *words: str) -> None:
    names = {
        f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, env={**os.environ, **names})


def made_ground(root: Path) -> Ground:
    """A repository, a secret beside it, and a folder whose name begins like the repository's."""
    ground = Ground(root)
    for folder in (ground.work, ground.outside / "other", root / "ws-evil"):
        folder.mkdir(parents=True)
        (folder / "calc.py").write_text("def add(a, b):\n    return a + b\n")
        (folder / "secret.txt").write_text(CANARY) if folder != ground.work else None
        git(folder, "init", "-q", "-b", "main")
        git(folder, "add", "calc.py")
        git(folder, "commit", "-q", "-m", "one")
    (ground.outside / "secret.txt").write_text(CANARY)
    return ground


class Stdio:
    """A server that speaks over its standard streams; started anew when a call has hung."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name, self._command = name, command

    async def call(self, tool: str, **arguments: Any) -> Said:
        parameters = StdioServerParameters(command=self._command[0], args=self._command[1:])
        said = HUNG
        with anyio.move_on_after(PATIENCE_S + 5), _nowhere() as log:
            async with Client(stdio_client(parameters, errlog=log)) as client:
                with anyio.move_on_after(PATIENCE_S):
                    said = await _called(client, tool, arguments)
        return said


@contextlib.contextmanager
def _nowhere() -> Iterator[TextIO]:
    with Path(os.devnull).open("w") as log:
        yield log


async def _called(client: Client, tool: str, arguments: dict[str, Any]) -> Said:
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        return Said(False, str(error))
    text = "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))
    return Said(not result.is_error, text, str(result.structured_content))


def filesystem(ground: Ground) -> Stdio:
    node = str(ROOT / ".venv/bin/node")
    return Stdio("server-filesystem", [node, str(FILESYSTEM), str(ground.work)])


def git_server(ground: Ground) -> Stdio:
    return Stdio("mcp-server-git", [str(GIT), "--repository", str(ground.work)])


class Ours:
    """The platform's tools: the tools process, sandboxd, and a container that has the ground's ``work`` in it."""

    name = "HyperCode"

    def __init__(self, hands: Any) -> None:
        self.hands = hands

    async def call(self, tool: str, **arguments: Any) -> Said:
        with anyio.move_on_after(PATIENCE_S):
            outcome = await self.hands.call(tool, **arguments)
            return Said(outcome.ok, f"{outcome.code} {outcome.text}", str(outcome.data))
        return HUNG

    async def shell(self, script: str) -> str:
        outcome = await self.hands.call("sh_exec", script=script)
        return f"{outcome.data.get('exit_code')} {outcome.data.get('stdout')}{outcome.data.get('stderr')}"


@contextlib.asynccontextmanager
async def ours(database_url: str, ground: Ground) -> AsyncIterator[Ours]:
    """Opened from a copy of the ground's repository, through every process boundary."""
    mint = conftest.Mint()
    keys = conftest.PlatformKeys("p", "v", "s", mint.public_hex)
    async with conftest._hands(database_url, mint, keys, ground.work, conftest.BUILT_IN) as hands:
        yield Ours(hands)
