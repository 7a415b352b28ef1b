"""Programs that others wrote to look at MCP servers, on the platform's own tools with a container behind them."""

import json
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.conformance.stand import Profile, standing
from tests.conformance.suite import REVISIONS, required
from tests.fixtures.serving import serving

from hypercode.sandbox.client import SandboxClient
from hypercode.store.audit import verify_chain
from hypercode.store.database import Database
from hypercode.tools.app import create_app
from hypercode.tools.keys import PlatformKeys

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

ROOT = Path(__file__).parents[2]
NODE = ROOT / ".tools/judges-node/node_modules/.bin"
PYTHON = ROOT / ".tools/judges-python"


@pytest.fixture(scope="session")
def judges() -> None:
    subprocess.run([ROOT / "scripts/judges", "install"], check=True, timeout=240)


@pytest.fixture(scope="module")
async def door(hands: Any, judges: None, database_url: str, keys: PlatformKeys) -> AsyncIterator[str]:
    """The MCP endpoint of the run's tools process on loopback TCP, as Compose has it on its network."""
    database = Database(database_url)
    sandboxes = SandboxClient(hands.socket.with_name("sandboxd.sock"), keys.sandboxd)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        async with serving(create_app(database, sandboxes, keys, host=host).mcp, listener):
            yield f"http://{host}/mcp/"
    await sandboxes.close()
    await database.dispose()


async def ran(command: list[str | Path], home: Path) -> tuple[int, str]:
    path = f"{ROOT / '.venv/bin'}:/usr/bin:/bin"
    with anyio.fail_after(200):
        done = await anyio.run_process(
            [str(word) for word in command],
            check=False,
            stderr=subprocess.STDOUT,
            cwd=home,
            env={"PATH": path, "HOME": str(home)},
        )
    return done.returncode, done.stdout.decode("utf-8", "replace")


async def inspected(door: str, token: str, home: Path, *words: str) -> Any:
    code, output = await ran(
        [
            *(NODE / "mcp-inspector", "--cli", door, "--transport", "http"),
            *("--header", f"Authorization: Bearer {token}", *words),
        ],
        home,
    )
    assert code == 0, output
    return json.loads(output)


async def test_the_inspector_lists_and_calls_the_tools(door: str, hands: Any, tmp_path: Path) -> None:
    listed = await inspected(door, hands.token, tmp_path, "--method", "tools/list")
    called = await inspected(
        door,
        hands.token,
        tmp_path,
        *("--method", "tools/call", "--tool-name", "fs_read", "--tool-arg", "path=calc.py"),
    )
    assert {tool["name"] for tool in listed["tools"]} == {
        spec.name for spec in await hands.tools.list_tools()
    }
    assert called["structuredContent"]["content"].startswith("def add(a, b)")
    code, output = await ran(
        [NODE / "mcp-inspector", "--cli", door, "--transport", "http", "--method", "tools/list"], tmp_path
    )
    assert code != 0
    assert "auth_required" in output


async def test_the_scanner_finds_nothing_in_the_tools(judges: None, tmp_path: Path) -> None:
    code, output = await ran(
        [PYTHON / "mcpscan/bin/mcpscan", ROOT / "src/hypercode/tools", "-f", "json"], tmp_path
    )
    assert code == 0, output
    assert json.loads(output)["findings"] == [], output


async def test_the_fuzzer_crashes_nothing(door: str, hands: Any, tmp_path: Path, database: Database) -> None:
    auth = tmp_path / "auth.json"
    provider = {"type": "api_key", "api_key": hands.token}
    auth.write_text(json.dumps({"providers": {"grant": provider}, "default_provider": "grant"}))
    code, output = await ran(
        [
            *(PYTHON / "mcp-fuzzer/bin/mcp-fuzzer", "--mode", "tools", "--protocol", "streamablehttp"),
            *("--endpoint", door, "--runs", "3", "--phase", "aggressive", "--auth-config", auth),
            *("--fs-root", tmp_path / "files", "--output-dir", tmp_path / "report"),
            *("--seed", "7", "--no-corpus", "--max-concurrency", "2"),
        ],
        tmp_path,
    )
    told = dict(re.findall(r"Total ([A-Z][\w/ -]+): (\d+)", output))
    print("mcp-fuzzer:", told)
    assert code == 0, output
    assert int(told["Fuzzing Runs"]) >= 3 * len(await hands.tools.list_tools())
    for what in ("Crashes", "Exceptions", "Transport/Protocol Anomalies"):
        assert told[what] == "0", output
    async with database.transaction() as session:
        assert (await verify_chain(session, hands.run.id)).ok
    assert (await hands.call("fs_tree")).ok


@pytest.mark.parametrize("revision", REVISIONS)
async def test_the_official_suite_passes_on_the_conformance_profile(
    revision: str, judges: None, database_url: str
) -> None:
    async with standing(database_url, Profile.FIXTURES) as stand:
        verdict = await required(revision, "server", "--url", stand.open_url)
    assert (verdict.code, verdict.failing()) == (0, []), verdict.output
    assert len(verdict.scenarios) >= 30
