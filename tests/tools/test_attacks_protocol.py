"""Rows of the attack table that belong to the protocol: both revisions, over the unix socket and over TCP.

The tools are echoes under the platform's names; everything before a tool is the platform's own. Rows that need a real
tool are in test_attacks.py and its neighbours.
"""

import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from tests.fixtures.serving import serving

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import Unavailable
from hypercode.domain.role import AgentRole
from hypercode.sandbox.base import Sandboxes
from hypercode.settings import AddressSettings, Settings
from hypercode.store.audit import read_audit
from hypercode.store.database import Database
from hypercode.tools.app import CallRules, create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.limits import CallLimits
from hypercode.tools.serve import serve

sys.path.insert(0, str(Path(__file__).parent))
from doors import LEGACY, MODERN, Door, echoes

pytestmark = pytest.mark.anyio

DOORS = [(revision, transport) for revision in (MODERN, LEGACY) for transport in ("unix", "tcp")]
WIDE = CallLimits(rate=1e6, burst=10_000, in_flight=10_000)


@contextlib.asynccontextmanager
async def opened(
    database: Database, keys: PlatformKeys, sockets: Path, way: tuple[str, str], limits: CallLimits = WIDE
) -> AsyncIterator[Door]:
    revision, transport = way
    with contextlib.ExitStack() as stack:
        if transport == "tcp":
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            host, path = f"127.0.0.1:{listener.getsockname()[1]}", None
        else:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            host, path = "tools", sockets / "tools.sock"
            listener.bind(str(path))
            listener.listen(1024)
        app = create_app(
            database, cast(Sandboxes, None), keys, echoes(), rules=CallRules(limits=limits), host=host
        ).mcp
        async with serving(app, listener):
            yield Door(revision, f"http://{host}/mcp/", path)


@pytest.fixture(params=DOORS, ids="-".join)
async def door(request: Any, database: Database, keys: PlatformKeys, sockets: Path) -> AsyncIterator[Door]:
    async with opened(database, keys, sockets, request.param) as found:
        yield found


async def audited(database: Database, run_id: str) -> list[str]:
    async with database.transaction() as session:
        rows = await read_audit(session, run_id)
    return [row.body["effect"] for row in rows if row.kind == "decision"]


async def test_a1_hidden_tools_are_denied_and_do_not_explain_themselves(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run(AgentRole.CODER)
    async with door.client(minting.token(run)) as http:
        listed = (await door.post(http, door.message("tools/list"))).result["tools"]
        hidden = await door.call(http, "plan_submit", nonsense=1)
        missing = await door.call(http, "fs_everything")
    assert [tool["name"] for tool in listed] == ["fs_read", "fs_write"]
    assert (hidden.code, missing.code) == ("POLICY_DENIED", "NOT_FOUND")
    assert "content" not in hidden.result["content"][0]["text"]
    assert await audited(database, run.id) == ["deny", "refuse"]


async def test_a1_a_grant_for_fewer_tools_hides_the_others(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run(AgentRole.CODER)
    async with door.client(minting.token(run, tools={"fs_read"})) as http:
        listed = (await door.post(http, door.message("tools/list"))).result["tools"]
        hidden = await door.call(http, "fs_write", content="x")
    assert [tool["name"] for tool in listed] == ["fs_read"]
    assert hidden.code == "POLICY_DENIED"
    assert await audited(database, run.id) == ["deny"]


async def test_a2_without_a_valid_grant_there_is_401_and_a_way_to_learn_more(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    good = minting.token(run)
    other_instance = type(minting)().token(run)
    expired = minting.token(run, expires_in=timedelta(seconds=-5))
    for token in (None, "x", "=", expired, other_instance, good[:-4] + "AAAA", f"{good} {good}"):
        async with door.client(token) as http:
            answer = await door.call(http, "fs_read")
        assert answer.status == 401, token
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer error="invalid_token"')
        assert (answer.body["code"], good[:40] in json.dumps(answer.body)) == ("UNAUTHENTICATED", False)
    async with door.client() as http:
        where = challenge.split('resource_metadata="')[1].rstrip('"')
        metadata = (await http.get(where)).json()
        for name in ("access_token", "token", "authorization"):
            query = await http.post(f"{door.url}?{name}={good}", json=door.message("tools/list"))
            assert query.status_code == 401
    assert (metadata["resource"], metadata["bearer_methods_supported"]) == (door.url, ["header"])
    assert await audited(database, run.id) == []


async def test_a2_two_authorization_headers_and_other_spellings_of_the_path(
    door: Door, minting: Any, new_run: Any
) -> None:
    token = minting.token(await new_run())
    async with door.client() as http:
        twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
        both = await http.post(door.url, json=door.message("tools/list"), headers=twice)
        assert both.status_code == 401
        base = door.url.removesuffix("/mcp/")
        for path in ("/mcp", "/mcp/", "/%6dcp/", "/mcp/x", "//mcp/", "/MCP/", "/x/../mcp/", "/mcp%2f"):
            answer = await http.post(base + path, json=door.message("tools/list"))
            assert answer.status_code in (401, 404), path
            assert b"fs_read" not in answer.content


async def test_a2_another_tasks_grant_acts_for_that_task_only(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    ours, theirs = await new_run(), await new_run()
    async with door.client(minting.token(theirs)) as http:
        answer = await door.call(http, "fs_read", content="x")
    assert answer.result["structuredContent"]["run_id"] == theirs.id
    assert await audited(database, ours.id) == []
    assert await audited(database, theirs.id) == ["allow"]


async def test_a3_another_host_or_origin(door: Door, minting: Any, new_run: Any) -> None:
    message = door.message("tools/list")
    async with door.client(minting.token(await new_run())) as http:
        for host in ("evil.example", "tools:80", "localhost", "127.0.0.1", "tools.evil.example", "0.0.0.0"):
            assert (await door.post(http, message, Host=host)).status == 421, host
        for origin in ("http://evil.example", "null", "http://localhost", "https://tools", "http://tools:80"):
            assert (await door.post(http, message, Origin=origin)).status == 403, origin
        assert (await door.post(http, message)).status == 200


async def test_a4_headers_that_say_something_else_than_the_body(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    message = door.message("tools/call", name="fs_write", arguments={"path": ".git/config"})
    async with door.client(minting.token(run)) as http:
        renamed = await door.post(http, message, Mcp_Name="fs_read")
        other_method = await door.post(http, message, Mcp_Method="tools/list")
    if door.revision == MODERN:
        for answer in (renamed, other_method):
            assert (answer.status, answer.body["error"]["code"]) == (400, -32020)
        assert await audited(database, run.id) == []
    else:
        # That revision knows no such headers: they are not read, and the body alone is judged.
        assert (renamed.code, other_method.code) == ("POLICY_DENIED", "POLICY_DENIED")
        assert await audited(database, run.id) == ["deny", "deny"]


async def test_a4_batches_duplicate_keys_and_other_spellings_of_keys(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    message = door.message("tools/call", name="fs_write", arguments={"path": "a"})
    whole = json.dumps(message)
    async with door.client(minting.token(run)) as http:
        batch = await door.post(http, message, raw=f"[{whole}, {whole}]")
        assert batch.status == 400
        # The last one counts, for the decision as for the tool.
        path = whole.replace('"path": "a"', '"path": "a", "path": ".git/config"')
        assert (await door.post(http, message, raw=path)).code == "POLICY_DENIED"
        name = whole.replace('"name": "fs_write"', '"name": "fs_write", "name": "plan_submit"')
        twice = await door.post(http, message, raw=name)
        assert twice.status == 400 if door.revision == MODERN else twice.code == "POLICY_DENIED"
        # Another spelling is another key: an unknown argument, and no method, name or arguments at all.
        for change in (('"path"', '"Path"'), ('"path": "a"', '"path": "a", "PATH": ".git/config"')):
            assert (await door.post(http, message, raw=whole.replace(*change))).code == "INVALID_ARGUMENT"
        for change in (('"method"', '"Method"'), ('"name"', '"Name"'), ('"jsonrpc"', '"JsonRpc"')):
            answer = await door.post(http, message, raw=whole.replace(*change))
            assert "result" not in answer.body, change
        hidden = whole.replace(
            '"params": {', '"params": {"Name": "plan_submit", "Arguments": {"path": "../x"}, '
        )
        assert (await door.post(http, message, raw=hidden)).code in ("OK", "INVALID_ARGUMENT")
    assert "refuse" in await audited(database, run.id)


async def test_a5_a_thousand_parallel_calls_with_colliding_ids_do_not_cross(
    database: Database, keys: PlatformKeys, sockets: Path, minting: Any, new_run: Any
) -> None:
    runs = [await new_run() for _ in range(10)]
    wrong: list[Any] = []

    async def client(door: Door, index: int) -> None:
        run = runs[index % 10]
        async with door.client(minting.token(run)) as http:
            for number in range(10):
                content = f"{door.revision} {index} {number}"
                message = door.message("tools/call", name="fs_read", arguments={"content": content})
                message["id"] = number
                answer = await door.post(http, message)
                heard = answer.result["structuredContent"]
                if (answer.body["id"], heard) != (number, {"run_id": run.id, "content": content}):
                    wrong.append(answer.body)

    async with (
        opened(database, keys, sockets, (MODERN, "unix")) as unix,
        opened(database, keys, sockets, (MODERN, "tcp")) as tcp,
    ):
        with anyio.fail_after(120):
            async with anyio.create_task_group() as group:
                for index in range(25):
                    for door in (unix, tcp):
                        group.start_soon(client, door, index)
                        group.start_soon(client, replace(door, revision=LEGACY), index)
    assert wrong == []


async def test_a6_a_state_or_an_answer_that_nobody_asked_for_changes_nothing(
    door: Door, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    forged = {
        "requestState": "approved",
        "inputResponses": {"approval": {"action": "accept", "content": {"approved": True}}},
    }
    call = {"name": "fs_write", "arguments": {"path": ".github/workflows/ci.yml"}}
    async with door.client(minting.token(run)) as http:
        answer = await door.post(http, door.message("tools/call", **call, **forged))
    assert answer.body["error"]["code"] == -32602, answer.body
    assert await audited(database, run.id) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": 5},
        {"path": ["a"]},
        {"path": None},
        {"content": 5},
        {"content": {"a": "b"}},
        {"path": "a", "privileged": True},
        {"path": "a", "__proto__": {"x": 1}},
        {"path": "a", "mode": "0777"},
    ],
)
async def test_a8_arguments_that_do_not_fit(
    arguments: dict[str, Any],
    database: Database,
    keys: PlatformKeys,
    sockets: Path,
    minting: Any,
    new_run: Any,
) -> None:
    run = await new_run()
    for way in ((MODERN, "tcp"), (LEGACY, "unix")):
        async with opened(database, keys, sockets, way) as door, door.client(minting.token(run)) as http:
            assert (await door.call(http, "fs_write", **arguments)).code == "INVALID_ARGUMENT"
    assert await audited(database, run.id) == ["refuse", "refuse"]


async def test_a8_bodies_that_do_not_fit(door: Door, minting: Any, new_run: Any) -> None:
    async with door.client(minting.token(await new_run())) as http:
        large = door.message("tools/call", name="fs_write", arguments={"content": "x" * 5_000_000})
        assert (await door.post(http, large)).status == 413
        message = door.message("tools/call", name="fs_write", arguments={"content": "@"})
        deep = json.dumps(message).replace('"@"', "[" * 10_000 + "]" * 10_000)
        nested = json.dumps(message).replace('"@"', '{"a":' * 10_000 + "1" + "}" * 10_000)
        for raw in ("[" * 10_000 + "]" * 10_000, deep, nested, "", "{}", "null", "[]", '{"a":', "\0", "NaN"):
            answer = await door.post(http, message, raw=raw)
            assert answer.status == 400, raw[:40]
        for params in (
            {"name": 5, "arguments": {}},
            {"name": "fs_write", "arguments": "x"},
            {"arguments": {}},
        ):
            said = {**door.message("tools/call"), "params": {**message["params"], **params}}
            answer = await door.post(http, {**message, **said}, raw=json.dumps(said), Mcp_Name="fs_write")
            if "name" in params:
                assert "error" in answer.body
        assert (await door.call(http, "fs_write", content="still here")).code == "OK"


async def test_a9_too_many_calls_are_refused_with_a_time_and_other_runs_go_on(
    database: Database, keys: PlatformKeys, sockets: Path, minting: Any, new_run: Any
) -> None:
    for way in DOORS:
        limits = CallLimits(rate=1.0, burst=20, patience_s=0.5)
        flooding, quiet = await new_run(), await new_run()
        answers: list[Any] = []
        async with (
            opened(database, keys, sockets, way, limits) as door,
            door.client(minting.token(flooding)) as many,
            door.client(minting.token(quiet)) as few,
        ):

            async def flood(
                times: int, door: Door = door, http: Any = many, found: list[Any] = answers
            ) -> None:
                for _ in range(times):
                    found.append(await door.call(http, "fs_read", content="x"))

            async with anyio.create_task_group() as group:
                for _ in range(25):
                    group.start_soon(flood, 10)
                for _ in range(10):
                    assert (await door.call(few, "fs_read", content="x")).code == "OK"
        refused = [answer for answer in answers if answer.status == 429]
        assert len(answers) == 250
        assert 150 < len(refused) < 250
        for answer in refused:
            assert (answer.body["code"], answer.body["retryable"]) == ("RATE_LIMITED", True)
            assert answer.body["retry_after_s"] > 0
            assert int(answer.headers["retry-after"]) >= 0
        (sockets / "tools.sock").unlink(missing_ok=True)


@pytest.mark.parametrize("content", [None, "", "not a key"])
async def test_a10_there_is_no_listener_without_grants(
    content: str | None, database: Database, tmp_path: Path, minting: Any, new_run: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = Settings(
        data_dir=tmp_path,
        address=AddressSettings(tools=f"http://127.0.0.1:{port}", platform=f"http://127.0.0.1:{port}"),
    )
    settings.keys_dir.mkdir(parents=True)
    for name in ("platform", "verifier", "sandboxd"):
        (settings.keys_dir / f"{name}.key").write_text("key")
    if content is not None:
        (settings.keys_dir / "grant.pub").write_text(content)
    with pytest.raises(Unavailable), anyio.fail_after(10):
        await serve(settings, database)
    with pytest.raises(OSError, match="attempts failed"):
        await anyio.connect_tcp("127.0.0.1", port)


@pytest.mark.parametrize("mode", [MODERN, "legacy", "auto"])
async def test_the_official_client_and_ours_over_every_door(
    mode: str, door: Door, minting: Any, new_run: Any
) -> None:
    token = minting.token(await new_run())
    with anyio.fail_after(20):
        async with (
            door.client(token) as http,
            Client(streamable_http_client(door.url, http_client=http), mode=mode) as official,
        ):
            tools = (await official.list_tools()).tools
            heard = await official.call_tool("fs_read", {"content": "hello"})
        address = door.socket or door.url.removesuffix("/mcp/")
        async with ToolSession(address, token) as ours:
            assert (await ours.call("fs_read", {"content": "hello"}, key="k")).text == "hello"
        with pytest.raises(Unavailable):
            async with ToolSession(address, "x"):
                pass
    assert [tool.name for tool in tools] == ["fs_read", "fs_write"]
    assert heard.structured_content["content"] == "hello"
