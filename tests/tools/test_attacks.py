"""Rows of the attack table, against the real chain: MCP over HTTP, dispatcher, sandboxd, container."""

from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

FILE_TOOLS: dict[str, dict[str, Any]] = {
    "fs_read": {},
    "fs_write": {"content": "x", "create_dirs": True},
    "fs_edit": {"edits": [{"old": "root", "new": "x"}]},
    "fs_tree": {},
}


def http(path: Path, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
    bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(
        transport=httpx2.AsyncHTTPTransport(uds=str(path)), headers={**bearer, **headers}
    )


@pytest.mark.parametrize("tool", FILE_TOOLS)
@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "~",
        "/proc/self/environ",
        "/proc/self/root/..",
        "a/../../b",
        "/workspace-evil/x",
    ],
)
async def test_f1_f2_paths_outside(hands: Any, tool: str, path: str) -> None:
    outcome = await hands.call(tool, path=path, **FILE_TOOLS[tool])
    assert (outcome.ok, outcome.code) == (False, "PATH_OUTSIDE")


async def test_f3_f5_symlinks_are_not_followed_out(hands: Any) -> None:
    await hands.shell(
        "mkdir -p f3 && cd f3 && ln -sf /etc/passwd file && ln -sfn /etc dir && ln -sf file chain && ln -sf /tmp/new dangling"
        " && ln -sfn /tmp out"
    )
    for path in ("f3/file", "f3/chain", "f3/dir/passwd", "f3/dangling", "f3/out/new"):
        for tool, extra in FILE_TOOLS.items():
            outcome = await hands.call(tool, path=path, **extra)
            assert not outcome.ok, (tool, path, outcome.text)
            assert outcome.code in ("PATH_OUTSIDE", "INVALID_ARGUMENT", "NOT_FOUND"), (
                tool,
                path,
                outcome.text,
            )
    assert await hands.shell("ls /tmp/new 2>/dev/null; grep -c root: /etc/passwd") != "0\n"
    found = await hands.call("fs_search", pattern="root:", globs=["f3/**"])
    assert found.data["matches"] == []
    tree = await hands.call("fs_tree", path="f3", depth=6)
    assert {entry["kind"] for entry in tree.data["entries"]} == {"symlink"}


async def test_f6_hard_links_to_other_places_can_not_be_made(hands: Any) -> None:
    outcome = await hands.call(
        "sh_exec", script="ln /etc/passwd hard || ln /opt/hypercode/repair/engine.py hard"
    )
    assert outcome.data["exit_code"] != 0
    await hands.shell("echo one > first && ln -f first second")
    assert (await hands.call("fs_write", path="second", content="x")).code == "POLICY_DENIED"


async def test_f7_odd_files_are_refused_and_large_ones_capped(hands: Any) -> None:
    await hands.shell(
        "mkfifo -m 600 pipe; ln -sf /dev/zero zero; head -c 62914560 /dev/zero | tr '\\0' 'a' > huge"
    )
    with anyio.fail_after(10):
        for path in ("pipe", "zero"):
            assert not (await hands.call("fs_read", path=path)).ok
            assert not (await hands.call("fs_edit", path=path, edits=[{"old": "a", "new": "b"}])).ok
        huge = await hands.call("fs_read", path="huge")
        assert (huge.ok, huge.data["truncated"], huge.data["size"]) == (True, True, 62914560)
        assert len(huge.text) < 70_000
        assert (
            await hands.call("fs_edit", path="huge", edits=[{"old": "a", "new": "b"}])
        ).code == "TOO_LARGE"
    await hands.shell("rm -f pipe zero huge; mkdir many && cd many && seq 1 5000 | xargs touch")
    tree = await hands.call("fs_tree", path="many", limit=100)
    assert (len(tree.data["entries"]), tree.data["truncated"]) == (100, True)


@pytest.mark.parametrize("path", ["a\0b", "a\nb", "a\u202etxt.py", "a\u200bb", "\x1b]52;c;x\x07"])
async def test_f8_deceiving_names(hands: Any, path: str) -> None:
    for tool, extra in FILE_TOOLS.items():
        assert (await hands.call(tool, path=path, **extra)).code == "INVALID_ARGUMENT"


async def test_f8_nothing_is_decoded(hands: Any) -> None:
    assert (await hands.call("fs_write", path="%2e%2e/x", content="1", create_dirs=True)).ok
    assert await hands.shell("cat %2e%2e/x") == "1"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (".git/hooks/pre-commit", "POLICY_DENIED"),
        (".git/config", "POLICY_DENIED"),
        ("/workspace/.git/config", "POLICY_DENIED"),
        ("./a//.git/config", "POLICY_DENIED"),
        (".gitattributes", "PENDING_APPROVAL"),
        (".env", "PENDING_APPROVAL"),
        (".github/workflows/ci.yml", "PENDING_APPROVAL"),
        (".vscode/tasks.json", "PENDING_APPROVAL"),
    ],
)
async def test_f9_protected_paths(hands: Any, path: str, code: str) -> None:
    assert (await hands.call("fs_write", path=path, content="x", create_dirs=True)).code == code
    assert (await hands.call("fs_edit", path=path, edits=[{"old": "a", "new": "b"}])).code == code


@pytest.mark.parametrize(
    "base",
    [
        "--output=/workspace/pwned",
        "-O/tmp/x",
        "--ext-diff",
        "HEAD --output=x",
        "a..b",
        "HEAD:calc.py",
        "@{u}",
        "",
    ],
)
async def test_g1_git_parameters(hands: Any, base: str) -> None:
    assert (await hands.call("git_diff", base=base)).code == "INVALID_ARGUMENT"
    assert (await hands.call("git_diff", paths=["../x"])).code == "PATH_OUTSIDE"
    weird = await hands.call("git_diff", paths=["--output=pwned", ":(glob)**"])
    assert weird.ok
    assert weird.data["diff"] == ""
    assert await hands.shell("ls pwned /workspace/pwned 2>/dev/null | wc -l") == "0\n"


async def test_g3_nothing_that_a_repository_configures_runs(hands: Any) -> None:
    await hands.shell(
        "printf '#!/bin/sh\\ntouch /workspace/marker\\n' > evil.sh; chmod +x evil.sh; "
        "printf '*.py filter=x diff=x\\n' > .gitattributes; echo '# more' >> calc.py"
    )
    assert (await hands.call("git_status")).ok
    assert (await hands.call("git_diff")).ok
    committed = await hands.call("git_commit", message="--amend\n\nwith odd words")
    assert committed.ok, committed.text
    assert (await hands.call("git_commit", message="again")).code == "CONFLICT"
    assert (await hands.call("git_status")).data["clean"] is True
    assert await hands.shell("ls marker 2>/dev/null | wc -l; rm -f .gitattributes evil.sh") == "0\n"


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy", "auto"])
async def test_the_official_client_sees_schemas_and_annotations_in_both_revisions(
    hands: Any, mode: str
) -> None:
    async with http(hands.socket, hands.token) as client:
        transport = streamable_http_client("http://tools/mcp/", http_client=client)
        with anyio.fail_after(20):
            async with Client(transport, mode=mode) as official:
                tools = (await official.list_tools()).tools
                result = await official.call_tool("fs_read", {"path": "tests/test_calc.py"})
                refused = await official.call_tool("fs_read", {"path": "/etc/passwd"})
    for tool in tools:
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema is not None
        assert tool.output_schema["additionalProperties"] is False
        hints = tool.annotations
        assert hints is not None
        assert None not in (
            hints.read_only_hint,
            hints.destructive_hint,
            hints.idempotent_hint,
            hints.open_world_hint,
        )
    assert result.structured_content["content"].startswith("from calc import add")
    assert refused.is_error
    assert refused.structured_content["code"] == "PATH_OUTSIDE"
