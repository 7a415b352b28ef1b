"""Processes that outlive the call that started them: a real container, connections that come and go."""

import base64
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from hypercode.domain.errors import Conflict, HyperCodeError, InvalidArgument, NotFound, RateLimited
from hypercode.domain.ids import new_id
from hypercode.sandbox.base import ExecRequest, OpenWorkspace, Profile, StartSandbox
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.processes import (
    ProcessesOf,
    ProcessKill,
    ProcessRead,
    ProcessStart,
    ProcessWrite,
    Ready,
)
from hypercode.settings import SandboxSettings

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

DAEMONS = "(setsid sleep 8151 &) ; (setsid sh -c 'setsid sleep 8151 &') ; sleep 8151 & echo up; sleep 8151"
LEFT = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^8151$'"


class Box:
    """One container, and short ways to say what is wanted of it."""

    def __init__(self, sandboxes: DockerSandboxes, sandbox_id: str) -> None:
        self.sandboxes = sandboxes
        self.sandbox_id = sandbox_id

    async def start(self, *argv: str, **more: Any) -> Any:
        return await self.sandboxes.process_start(
            ProcessStart(sandbox_id=self.sandbox_id, argv=list(argv), **more)
        )

    async def read(self, proc_id: str, offset: int | None = 0, **more: Any) -> Any:
        return await self.sandboxes.process_read(
            ProcessRead(sandbox_id=self.sandbox_id, proc_id=proc_id, offset=offset, **more)
        )

    async def kill(self, proc_id: str, signal: int = 9, grace_s: float = 5.0) -> Any:
        return await self.sandboxes.process_kill(
            ProcessKill(sandbox_id=self.sandbox_id, proc_id=proc_id, signal=signal, grace_s=grace_s)
        )

    async def write(self, proc_id: str, data: bytes, *, end: bool = False) -> int:
        sent = base64.b64encode(data).decode()
        request = ProcessWrite(sandbox_id=self.sandbox_id, proc_id=proc_id, data_b64=sent, end=end)
        return (await self.sandboxes.process_write(request)).written

    async def list(self) -> Any:
        return await self.sandboxes.process_list(ProcessesOf(sandbox_id=self.sandbox_id))

    async def shell(self, line: str, **more: Any) -> Any:
        return await self.sandboxes.exec(self.sandbox_id, ExecRequest(argv=["sh", "-c", line], **more))

    async def all_of(self, proc_id: str) -> bytes:
        """The whole output; waits for the end."""
        data, offset = b"", 0
        while True:
            part = await self.read(proc_id, offset, wait_ms=10_000)
            data += base64.b64decode(part.data_b64)
            offset = part.next_offset
            if not part.running and offset == part.size:
                return data


@pytest.fixture(scope="module")
async def box(sandboxes: DockerSandboxes, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Box]:
    folder: Path = tmp_path_factory.mktemp("project")
    (folder / "a.txt").write_text("a\n")
    workspace, project = new_id("workspace"), new_id("project")
    await sandboxes.open_workspace(
        OpenWorkspace(
            workspace_id=workspace, project_id=project, source_kind="local_path", source=str(folder)
        )
    )
    request = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=workspace)
    yield Box(sandboxes, (await sandboxes.start(request)).sandbox_id)
    await sandboxes.close_workspace(workspace)
    await sandboxes._engine.remove_volume(f"hypercode-mirror-{project}")


async def test_output_is_read_as_it_comes_and_to_the_end(box: Box) -> None:
    started = await box.start("sh", "-c", "echo one; read line; echo got $line >&2; exit 3")
    with anyio.fail_after(20):
        first = await box.read(started.proc_id, 0, wait_ms=10_000)
        assert (base64.b64decode(first.data_b64), first.running, first.next_offset) == (b"one\n", True, 4)
        assert await box.write(started.proc_id, b"two\n") == 4
        second = await box.read(started.proc_id, 4, wait_ms=10_000)
        assert base64.b64decode(second.data_b64) == b"got two\n"
        assert await box.all_of(started.proc_id) == b"one\ngot two\n"
    ended = await box.read(started.proc_id, 12, wait_ms=10_000)
    assert (ended.running, ended.exit_code, ended.signal, ended.data_b64) == (False, 3, None, "")
    with pytest.raises(InvalidArgument):
        await box.read(started.proc_id, 13)
    with pytest.raises(Conflict):
        await box.write(started.proc_id, b"x")


async def test_a_process_outlives_every_connection(box: Box) -> None:
    started = await box.start("sh", "-c", "echo before; read line; echo after $line; exit 7")
    # sandboxd is killed and started again: nothing is left of it but the container.
    await box.sandboxes._containers.close()
    other = DockerSandboxes(SandboxSettings(), instance="tests")
    try:
        again = Box(other, box.sandbox_id)
        assert started.proc_id in [seen.proc_id for seen in (await again.list()).processes]
        await again.write(started.proc_id, b"restart\n")
        with anyio.fail_after(20):
            assert await again.all_of(started.proc_id) == b"before\nafter restart\n"
    finally:
        await other.close()
    assert (await box.read(started.proc_id, None)).exit_code == 7


async def test_a_cancelled_read_leaves_the_process_and_a_cancelled_start_does_not(box: Box) -> None:
    started = await box.start("sh", "-c", "echo up; read line")
    with anyio.move_on_after(0.3) as scope:
        await box.read(started.proc_id, 3, wait_ms=10_000)
    assert scope.cancelled_caught
    assert (await box.read(started.proc_id, 0)).running
    assert (await box.kill(started.proc_id)).signal == 9
    with anyio.move_on_after(0.5) as scope:
        await box.start("sh", "-c", DAEMONS, ready=Ready(regex="never", timeout_s=60))
    assert scope.cancelled_caught
    assert (await box.shell(LEFT)).stdout == "0\n"


@pytest.mark.parametrize("signal", [9, 15])
async def test_nothing_of_a_killed_tree_is_left(box: Box, signal: int) -> None:
    started = await box.start("sh", "-c", DAEMONS, ready=Ready(regex="^up$"))
    assert started.ready is True
    assert int((await box.shell(LEFT)).stdout) == 4
    end = await box.kill(started.proc_id, signal)
    assert (end.running, end.signal) == (False, signal)
    assert (await box.shell(LEFT)).stdout == "0\n"


async def test_a_process_may_end_itself_in_its_grace_and_is_killed_after_it(box: Box) -> None:
    polite = await box.start(
        "sh",
        "-c",
        "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done",
        ready=Ready(regex="up"),
    )
    assert (await box.kill(polite.proc_id, 15)).exit_code == 5
    assert (await box.all_of(polite.proc_id)).endswith(b"bye\n")
    deaf = await box.start(
        "sh", "-c", "trap '' TERM INT; echo up; while :; do sleep 0.05; done", ready=Ready(regex="up")
    )
    assert (await box.kill(deaf.proc_id, 15, grace_s=0.2)).signal == 9


async def test_ready_by_port_by_line_and_not_at_all(box: Box) -> None:
    serve = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8431, bind='127.0.0.1')"
    with anyio.fail_after(60):
        web = await box.start("python3", "-uc", serve, ready=Ready(port=8431, timeout_s=30))
        assert (web.ready, web.running) == (True, True)
        with pytest.raises(Conflict, match="8431"):
            await box.start("true", ready=Ready(port=8431))
        await box.kill(web.proc_id)
        ended = await box.start("false", ready=Ready(port=8431, timeout_s=30))
        assert (ended.ready, ended.running, ended.exit_code) == (False, False, 1)
        # An expression that would take for ever takes the time that it has, and stops nothing else.
        evil = await box.start(
            "sh", "-c", "echo " + "a" * 60 + "b; sleep 60", ready=Ready(regex="^(a+)+$", timeout_s=0.7)
        )
        assert (evil.ready, evil.running) == (False, True)
        await box.kill(evil.proc_id)
    with pytest.raises(InvalidArgument):
        await box.start("true", ready=Ready(regex="("))


async def test_old_output_is_dropped_and_offsets_stay_true(box: Box) -> None:
    started = await box.start("sh", "-c", "head -c 5000000 /dev/zero | tr '\\0' x; printf END")
    with anyio.fail_after(30):
        while (part := await box.read(started.proc_id, None, limit=3)).running:
            await anyio.lowlevel.checkpoint()
    assert (part.size, base64.b64decode(part.data_b64), part.offset) == (5_000_003, b"END", 5_000_000)
    head = await box.read(started.proc_id, 0, limit=10)
    assert head.offset > 1_000_000
    assert head.next_offset == head.offset + 10
    assert base64.b64decode(head.data_b64) == b"x" * 10


async def test_ids_are_known_in_one_container_and_a_container_has_so_many_processes(box: Box) -> None:
    for verb in (box.read, box.kill):
        with pytest.raises(NotFound):
            await verb(secrets.token_hex(16))
    with pytest.raises(NotFound):
        await box.write(secrets.token_hex(16), b"x")
    assert not [seen for seen in (await box.list()).processes if seen.running]
    running = [await box.start("sleep", "8152") for _ in range(16)]
    with pytest.raises(RateLimited, match="16"):
        await box.start("sleep", "8152")
    for each in running:
        await box.kill(each.proc_id)
    for _ in range(20):
        last = await box.start("true")
    listed = (await box.list()).processes
    assert len(listed) <= 32
    assert listed[-1].proc_id == last.proc_id


async def test_shells_that_would_hang_do_not(box: Box) -> None:
    with anyio.fail_after(60):
        # A prompt finds the end of its stdin, and git asks nobody.
        assert (await box.shell("read answer; echo none $answer")).stdout == "none\n"
        assert (await box.shell("git ls-remote https://nobody.invalid/x")).exit_code != 0
        # A pipe without a writer, as a file and as stdin.
        fifo = await box.shell("mkfifo -m 600 p; cat < p", timeout_s=0.5)
        assert fifo.timed_out
        # Bytes that are no text, arguments that are too long, a program that is not there.
        binary = await box.shell("head -c 1000 /dev/urandom; printf '\\377\\000END'")
        assert binary.stdout.endswith("\ufffd\0END")
        with pytest.raises(HyperCodeError) as huge:
            await box.start("true", *["\0"])
        assert huge.value.code == "INVALID_ARGUMENT"
        long = await box.sandboxes.exec(box.sandbox_id, ExecRequest(argv=["true", "x" * 3_000_000]))
        assert (long.exit_code, "too long" in long.stderr) == (126, True)
        none = await box.start("no-such-program")
        assert b"can't run no-such-program" in await box.all_of(none.proc_id)
        assert (await box.read(none.proc_id)).exit_code == 127


async def test_a_commands_output_can_be_followed_and_is_kept_when_it_was_cut(box: Box) -> None:
    log_id = secrets.token_hex(16)
    seen: list[bytes] = []

    async def follow() -> None:
        while not seen:
            try:
                part = await box.read(log_id, 0, wait_ms=10_000)
            except NotFound:
                await anyio.lowlevel.checkpoint()
            else:
                seen.append(base64.b64decode(part.data_b64))
                await box.shell("touch go")

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            script = "echo first; while ! test -e go; do sleep 0.02; done; seq 1 2000"
            done = await box.shell(script, log_id=log_id, max_output=300)
    assert seen == [b"first\n"]
    assert (done.truncated, done.log_id) == (True, log_id)
    kept = await box.all_of(log_id)
    assert kept == b"first\n" + b"".join(b"%d\n" % number for number in range(1, 2001))
    short = await box.shell("echo x", log_id=secrets.token_hex(16))
    assert (short.truncated, short.log_id) == (False, None)
    for _ in range(8):
        await box.shell("seq 1 500", log_id=secrets.token_hex(16), max_output=300)
    assert len((await box.list()).logs) == 8
    with pytest.raises(NotFound):
        await box.read(log_id)
