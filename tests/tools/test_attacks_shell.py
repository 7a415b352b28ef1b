"""Rows S1-S4 and A7 of the attack table, and shells that would hang, against the real chain."""

import json
import re
import secrets
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from hypercode.agents.mcp_client import ToolSession
from hypercode.store.audit import read_audit, verify_chain
from hypercode.store.database import Database

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

DAEMONS = (
    "(setsid sleep 7654 &) ; (setsid sh -c 'setsid sleep 7654 &') ; sleep 7654 & touch begun; sleep 7654"
)


async def survivors(hands: Any) -> int:
    seen = await hands.shell("cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^[7]654$' || true")
    return int(seen)


async def begun(hands: Any, name: str = "begun") -> None:
    while not (await hands.call("fs_read", path=name)).ok:
        await anyio.lowlevel.checkpoint()


async def output_of(hands: Any, proc_id: str) -> str:
    """All that a process wrote; waits for its end."""
    text, offset = "", 0
    while True:
        part = await hands.call("sh_read", proc_id=proc_id, offset=offset, wait_ms=10_000)
        assert part.ok, part.text
        text, offset = text + part.data["data"], part.data["next_offset"]
        if not part.data["running"] and not part.data["truncated"]:
            return text


@pytest.fixture
async def official(hands: Any) -> AsyncIterator[Client]:
    """The SDK's own client, with the run's grant."""
    transport = httpx2.AsyncHTTPTransport(uds=str(hands.socket))
    headers = {"Authorization": f"Bearer {hands.token}"}
    async with httpx2.AsyncClient(transport=transport, headers=headers) as http:
        streams = streamable_http_client("http://tools/mcp/", http_client=http)
        async with Client(streams, mode="2026-07-28") as client:
            yield client


@pytest.mark.parametrize("tool", ["sh_exec", "sh_start"])
async def test_s1_argv_is_literal_and_variables_that_steer_are_refused(hands: Any, tool: str) -> None:
    async def printed(**arguments: Any) -> str:
        done = await hands.call(tool, **arguments)
        assert done.ok, done.text
        return str(done.data["stdout"]) if tool == "sh_exec" else await output_of(hands, done.data["proc_id"])

    odd = "$(id); `id` && id | tee x > y"
    assert await printed(argv=["echo", odd]) == f"{odd}\n"
    assert await printed(script="echo $COLOUR", env={"COLOUR": "$(id)"}) == "$(id)\n"
    for name in (
        "LD_PRELOAD",
        "PATH",
        "GIT_DIR",
        "BASH_ENV",
        "https_proxy",
        "A=B",
        "",
        "HYPERCODE_DATABASE_URL",
    ):
        assert (await hands.call(tool, argv=["env"], env={name: "x"})).code == "INVALID_ARGUMENT"
    for both in ({}, {"argv": ["true"], "script": "true"}, {"argv": ["a\0b"]}):
        assert (await hands.call(tool, **both)).code == "INVALID_ARGUMENT"
    for cwd, code in (("..", "PATH_OUTSIDE"), ("/etc", "PATH_OUTSIDE"), ("none", "NOT_FOUND")):
        assert (await hands.call(tool, argv=["true"], cwd=cwd)).code == code


async def test_s2_limits_hold_and_long_output_is_cut(hands: Any) -> None:
    with anyio.fail_after(60):
        late = await hands.call("sh_exec", script="sleep inf", timeout_s=0.5)
        assert (late.ok, late.data["timed_out"]) == (True, True)
        endless = await hands.call("sh_exec", argv=["yes"], timeout_s=1.0)
        assert (endless.data["timed_out"], endless.data["truncated"]) == (True, True)
        assert len(json.dumps(endless.data)) < 120_000
        bomb = await hands.call("sh_exec", script="b() { b | b & }; b; sleep inf", timeout_s=2.0)
        assert bomb.data["timed_out"]
        assert (await hands.call("sh_exec", script=DAEMONS, timeout_s=0.5)).data["timed_out"]
        assert await survivors(hands) == 0
        assert await hands.shell("ls /proc | grep -c '^[0-9]*$'") != ""
        loud = await hands.call("sh_exec", script="echo HEAD; yes | head -c 3000000; echo TAIL")
    assert loud.data["truncated"] is True
    assert len(loud.text) < 40_000
    assert loud.data["stdout"].startswith("HEAD")
    assert loud.data["stdout"].endswith("TAIL\n")


async def test_s2_a_started_fork_bomb_can_be_killed(hands: Any) -> None:
    with anyio.fail_after(60):
        bomb = await hands.call("sh_start", script="b() { b | b & }; b; touch begun; sleep inf")
        # Reads may be refused while it has every process there is; what ends it never is.
        for _ in range(20):
            assert (await hands.call("sh_list")).code in ("OK", "RATE_LIMITED")
        end = await hands.call("sh_kill", proc_id=bomb.data["proc_id"], signal="KILL")
        assert (end.ok, end.data["running"]) == (True, False), end.text
        assert await hands.shell("echo alive") == "alive\n"
        await hands.shell("rm -f begun")


async def test_s2_a_started_flood_is_bounded_and_says_what_was_dropped(hands: Any) -> None:
    flood = await hands.call("sh_start", script="yes | head -c 20000000; echo END")
    with anyio.fail_after(60):
        while (part := await hands.call("sh_read", proc_id=flood.data["proc_id"])).data["running"]:
            await anyio.lowlevel.checkpoint()
    assert part.data["dropped"] > 10_000_000
    assert "were dropped" in part.text
    tail = await hands.call("sh_read", proc_id=flood.data["proc_id"], offset=20_000_000)
    assert tail.data["data"] == "END\n"


async def test_s3_a_cancelled_call_leaves_no_process_and_one_outcome(hands: Any, database: Database) -> None:
    call = {"script": DAEMONS}
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: hands.tools.call("sh_exec", call, key="s3"))
            await begun(hands)
            group.cancel_scope.cancel()
        outcome = await hands.tools.call("sh_exec", call, key="s3")
        assert outcome.code == "UNCERTAIN"
        assert await survivors(hands) == 0
    await hands.shell("rm begun")
    async with database.transaction() as session:
        rows = [row for row in await read_audit(session, hands.run.id) if row.call_id == "s3"]
        assert (await verify_chain(session, hands.run.id)).ok
    assert [(row.kind, row.body.get("outcome")) for row in rows] == [
        ("decision", None),
        ("outcome", "cancelled"),
    ]


async def test_s3_a_client_that_disconnects_leaves_no_command_but_its_started_processes(hands: Any) -> None:
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:

            async def one_client() -> None:
                async with ToolSession(hands.socket, hands.token) as tools:
                    kept = await tools.call("sh_start", {"script": "echo kept; read line"}, key="kept")
                    kept_ids.append(kept.data["proc_id"])
                    await tools.call("sh_exec", {"script": DAEMONS}, key="s3-gone")

            kept_ids: list[str] = []
            group.start_soon(one_client)
            await begun(hands)
            group.cancel_scope.cancel()
        await hands.shell("rm begun")
        while await survivors(hands):
            await anyio.lowlevel.checkpoint()
        read = await hands.call("sh_read", proc_id=kept_ids[0], wait_ms=10_000)
        assert (read.data["data"], read.data["running"]) == ("kept\n", True)
        assert (await hands.call("sh_kill", proc_id=kept_ids[0])).ok


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
async def test_s3_sh_kill_leaves_nothing_of_a_tree(hands: Any, signal: str) -> None:
    with anyio.fail_after(30):
        started = await hands.call("sh_start", script=DAEMONS)
        await begun(hands)
        assert await survivors(hands) > 2
        end = await hands.call("sh_kill", proc_id=started.data["proc_id"], signal=signal)
        assert (end.ok, end.data["running"]) == (True, False), end.text
        assert await survivors(hands) == 0
    await hands.shell("rm begun")


async def test_s4_the_sandbox_holds_nothing_of_the_platform(hands: Any) -> None:
    look = "env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; find / -xdev -name '*.sock' 2>/dev/null; id -u"
    started = await hands.call("sh_start", script=look)
    for seen in (await hands.shell(look), await output_of(hands, started.data["proc_id"])):
        for secret in ("HYPERCODE", hands.token[:40], "docker.sock", "sandboxd-key", "postgres"):
            assert secret not in seen
        assert re.search(r"\n[1-9]\d*\n$", seen)


async def test_a7_foreign_handles_and_addresses_are_not_found(
    hands: Any, minting: Any, new_run: Any, official: Client
) -> None:
    mine = (await hands.call("sh_start", script="echo secret; read line")).data
    guesses = [secrets.token_hex(16), mine["proc_id"][:-1] + "0" * (mine["proc_id"][-1] != "0") + "1"]
    for guess in guesses:
        for tool, more in (("sh_read", {}), ("sh_write", {"data": "x"}), ("sh_kill", {})):
            assert (await hands.call(tool, proc_id=guess[:32], **more)).code == "NOT_FOUND"
    for odd in ("", "../" * 10 + "aa", "A" * 32, mine["proc_id"] + "\n"):
        assert (await hands.call("sh_read", proc_id=odd)).code == "INVALID_ARGUMENT"
    uri = mine["resource_uri"]
    assert "secret" in (await official.read_resource(uri)).contents[0].text
    stranger = await new_run()
    own = f"hc://run/{hands.run.id}/"
    for wrong in (
        uri.replace(hands.run.id, stranger.id),
        uri.replace(mine["proc_id"], secrets.token_hex(16)),
        uri + "/../..",
        f"{own}proc/{mine['proc_id']}/log?offset=-1",
        f"{own}env",
        "file:///etc/passwd",
        "hc://",
        "",
    ):
        with pytest.raises(MCPError) as refused:
            await official.read_resource(wrong)
        assert refused.value.code == -32602, wrong
    # A stranger's grant with the right address: the address belongs to another run.
    async with ToolSession(hands.socket, minting.token(stranger)) as tools:
        assert (await tools.call("resource_read", {"uri": uri}, key="k")).code == "NOT_FOUND"
        assert (await tools.call("sh_read", {"proc_id": mine["proc_id"]}, key="r")).code == "SANDBOX_DOWN"
    await hands.call("sh_kill", proc_id=mine["proc_id"])


async def test_shells_that_would_hang_do_not(hands: Any) -> None:
    with anyio.fail_after(60):
        kept = await hands.call("sh_exec", script="(setsid sleep 7654 >&2 &); echo done")
        assert (kept.data["exit_code"], kept.data["stdout"]) == (0, "done\n")
        assert await survivors(hands) == 0
        prompt = await hands.call("sh_exec", script="read answer || echo no answer")
        assert prompt.data["stdout"] == "no answer\n"
        asked = await hands.call("sh_start", script="printf 'name? '; read name; echo hello $name; cat")
        handle = asked.data["proc_id"]
        assert (await hands.call("sh_read", proc_id=handle, wait_ms=10_000)).data["data"] == "name? "
        assert (await hands.call("sh_write", proc_id=handle, data="Ada\nmore\n", end=True)).data["complete"]
        assert await output_of(hands, handle) == "name? hello Ada\nmore\n"
        binary = await hands.call(
            "sh_exec", script="head -c 100000 /dev/urandom; printf '\\377\\000\\033[2J'"
        )
        assert binary.ok
        assert "\0" not in binary.data["stdout"]
        fifo = await hands.call("sh_exec", script="mkfifo -m 600 p; cat < p", timeout_s=0.5)
        assert fifo.data["timed_out"]
        deaf = await hands.call("sh_start", script="sleep 7654")
        full = await hands.call("sh_write", proc_id=deaf.data["proc_id"], data="x" * 200_000)
        assert (full.data["complete"], full.data["written"] < 200_000) == (False, True)
        await hands.call("sh_kill", proc_id=deaf.data["proc_id"])
        long = await hands.call("sh_exec", argv=["true", "x" * 1_000_000])
        assert long.data["exit_code"] == 126
        many = await hands.call("sh_exec", argv=["true", *["x" * 1000] * 999])
        assert many.data["exit_code"] == 0
        too_many = await hands.call("sh_exec", argv=["true"] * 1001)
        assert too_many.code == "INVALID_ARGUMENT"
