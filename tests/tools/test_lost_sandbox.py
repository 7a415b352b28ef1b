"""A sandbox that dies in the middle of a call: what may have had its effect is never told as if it had not."""

import subprocess
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest

from hypercode.agents.intent import ToolOutcome
from hypercode.domain.errors import SandboxDown, SandboxLost
from hypercode.sandbox.errors import gone
from hypercode.sandbox.names import label

pytestmark = [pytest.mark.anyio, pytest.mark.docker, pytest.mark.timeout(120)]


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


async def test_what_may_have_had_its_effect_is_uncertain_and_a_read_may_be_made_again(hands: Any) -> None:
    handle = (await hands.call("sh_start", script="sleep 60")).data["proc_id"]
    ours = (f"label={label('run', hands.run.workspace_id)}", f"label={label('kind', 'agent')}")
    (name,) = docker("ps", "--format", "{{.Names}}", *(f"--filter={each}" for each in ours)).stdout.split()
    outcomes: dict[str, ToolOutcome] = {}

    async def call(tool: str, **arguments: Any) -> None:
        outcomes[tool] = await hands.call(tool, **arguments)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(partial(call, "sh_read", proc_id=handle, wait_ms=10_000))
            group.start_soon(partial(call, "sh_exec", script="echo once >> /workspace/marks; sleep 60"))
            while docker("exec", name, "test", "-e", "/workspace/marks").returncode != 0:
                await anyio.lowlevel.checkpoint()
            assert docker("kill", name).returncode == 0
    wrote, read = outcomes["sh_exec"], outcomes["sh_read"]
    assert (wrote.code, wrote.data["retryable"]) == ("UNCERTAIN", False)
    assert "sh_exec" in wrote.text
    assert (read.code, read.data["retryable"]) == ("SANDBOX_DOWN", True)


def test_what_was_never_asked_is_not_lost() -> None:
    assert type(gone(httpx2.ConnectError("no such file"))) is SandboxDown
    assert type(gone(httpx2.ReadError("cut off"))) is SandboxLost
    assert type(gone(httpx2.RemoteProtocolError("no answer"))) is SandboxLost
