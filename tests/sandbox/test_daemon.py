"""sandboxd's verbs as its callers use them: client, unix socket, daemon, engine."""

import asyncio
import base64
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
import uvicorn
from tests.sandbox.conftest import Shell

from hypercode.domain.errors import (
    Conflict,
    EnvironmentFailed,
    InvalidArgument,
    NotFound,
    PathOutside,
    SandboxDown,
    TooLarge,
    Unauthenticated,
)
from hypercode.domain.ids import new_id
from hypercode.sandbox.base import (
    BuildEnvironment,
    CheckRequest,
    ExecRequest,
    OpenWorkspace,
    Profile,
    StartSandbox,
    WriteRequest,
)
from hypercode.sandbox.client import SandboxClient
from hypercode.sandbox.daemon import create_app
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.files import SearchRequest
from hypercode.settings import SandboxSettings

pytestmark = [pytest.mark.anyio, pytest.mark.docker]
KEY = "k" * 64
LEFT = "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n' | grep -c '^4711$'"


@pytest.fixture
def folder() -> Iterator[Path]:
    # A unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="hc-") as name:
        yield Path(name)


@pytest.fixture
async def socket_path(sandboxes: DockerSandboxes, folder: Path) -> AsyncIterator[Path]:
    path = folder / "sandboxd.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    config = uvicorn.Config(
        create_app(sandboxes, KEY, running=sandboxes.running), log_config=None, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    yield path
    server.should_exit = True
    await serving


@pytest.fixture
async def client(socket_path: Path) -> AsyncIterator[SandboxClient]:
    client = SandboxClient(socket_path, KEY)
    yield client
    await client.close()


async def test_every_verb_round_trip(
    client: SandboxClient, sandboxes: DockerSandboxes, repository: Path
) -> None:
    assert (await client.ready())["engine"] == "docker"
    workspace, project = new_id("workspace"), new_id("project")
    opening = OpenWorkspace(
        workspace_id=workspace, project_id=project, source_kind="local_path", source=str(repository)
    )
    info = await client.open_workspace(opening)
    assert await client.open_workspace(opening) == info
    try:
        start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=workspace)
        box = (await client.start(start)).sandbox_id
        await _file_verbs(client, box)
        diff = await client.export_diff(workspace, "Change")
        assert diff.files == ["calc.py"]
        await client.exec(box, ExecRequest(argv=["sh", "-c", "echo 'other = 1' > calc.py"]))
        with pytest.raises(Conflict):
            await client.apply_diff(workspace, diff.diff)
        check = CheckRequest(
            workspace_id=workspace,
            commit=diff.head_commit,
            image="python:3.13-slim",
            argv=["cat", "calc.py"],
        )
        ran = await client.check(check)
        assert (ran.exit_code, ran.stdout, ran.tree) == (0, "é = 1\n", diff.head_tree)
        phases: list[str] = []

        async def progress(phase: str, _message: str) -> None:
            phases.append(phase)

        wrong = BuildEnvironment(workspace_id=workspace, project_id=project, settings={"nonsense": 1})
        with pytest.raises(InvalidArgument, match="nonsense"):
            await client.build_environment(wrong, progress)
        absent = {"image": "localhost/no-such-image:1"}
        asked = BuildEnvironment(workspace_id=workspace, project_id=project, settings=absent)
        with pytest.raises(EnvironmentFailed) as failed:
            await client.build_environment(asked, progress)
        assert (failed.value.phase, phases[:1]) == ("prepare", ["detect"])
        await client.stop(box)
        with pytest.raises(NotFound):
            await client.exec(box, ExecRequest(argv=["true"]))
    finally:
        await client.close_workspace(workspace)
        await sandboxes._engine.remove_volume(f"hypercode-mirror-{project}")


async def _file_verbs(client: SandboxClient, box: str) -> None:
    data = base64.b64encode("é = 1\n".encode()).decode()
    written = await client.write(box, WriteRequest(path="calc.py", data_b64=data))
    read = await client.read(box, "calc.py", 0, 100)
    assert (read.data_b64, read.sha256) == (data, written.sha256)
    assert {entry.path for entry in (await client.tree(box, ".", 2, 100)).entries} >= {"calc.py", "tests"}
    found = await client.search(
        SearchRequest(sandbox_id=box, pattern="^é", regex=True, globs=["*.py"], limit=5)
    )
    assert [(match.path, match.line) for match in found.matches] == [("calc.py", 1)]
    done = await client.exec(box, ExecRequest(argv=["cat"], stdin="in"))
    assert (done.stdout, done.exit_code) == ("in", 0)
    with pytest.raises(PathOutside):
        await client.read(box, "/etc/passwd", 0, 1)


async def test_only_the_key_opens(socket_path: Path, client: SandboxClient) -> None:
    stranger = SandboxClient(socket_path, "wrong")
    with pytest.raises(Unauthenticated):
        await stranger.ready()
    await stranger.close()
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(socket_path))) as http:
        assert (await http.get("http://x/healthz")).status_code == 200
        assert "hypercode_sandbox_verb_seconds" in (await http.get("http://x/metrics")).text
        refused = await http.post(
            "http://x/v1/read", headers={"Authorization": f"Bearer {KEY}"}, content=b'{"more": 1}'
        )
    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_ARGUMENT")


async def test_a_scrape_counts_the_engines_containers(
    socket_path: Path, client: SandboxClient, agent: str
) -> None:
    with pytest.raises(NotFound):
        await client.exec("hypercode-agent-" + "0" * 24, ExecRequest(argv=["true"]))
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(socket_path))) as http:
        lines = (await http.get("http://x/metrics")).text.splitlines()
    assert 'hypercode_engine_up{engine="docker"} 1.0' in lines
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values['hypercode_containers_running{kind="agent"}']) >= 1, agent
    assert float(values['hypercode_sandbox_verb_seconds_count{outcome="failed",verb="exec"}']) >= 1


async def test_a_cancelled_call_ends_its_command(client: SandboxClient, agent: str, shell: Shell) -> None:
    with anyio.move_on_after(2) as scope:
        await client.exec(agent, ExecRequest(argv=["sh", "-c", "(setsid sleep 4711 &); sleep 4711"]))
    assert scope.cancelled_caught
    assert (await shell(_until_none_is_left())).stdout.strip() == "0"


def _until_none_is_left() -> str:
    return f"for i in $(seq 100); do [ $({LEFT}) = 0 ] && break; sleep 0.1; done; {LEFT}"


async def test_no_daemon_says_so(folder: Path) -> None:
    client = SandboxClient(folder / "nobody.sock", KEY)
    with pytest.raises(SandboxDown) as down:
        await client.ready()
    assert down.value.hint
    await client.close()


class Line:
    """A line to the engine that can be cut: the engine itself goes on, for others use it."""

    def __init__(self, path: Path, engine: str) -> None:
        self._path = path
        self._engine = engine
        self._ends: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._join, self._path)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_unix_connection(self._engine)
        self._ends += [writer, far]
        await asyncio.gather(self._pump(reader, far), self._pump(far_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(1 << 16):
                writer.write(part)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.close()

    def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()


async def test_engine_goes_away_in_the_middle(agent: str, shell: Shell, folder: Path) -> None:
    line = Line(folder / "engine.sock", "/var/run/docker.sock")
    await line.open()
    far = DockerSandboxes(SandboxSettings(), instance="tests", url=f"unix://{folder}/engine.sock")
    try:
        assert (await far.exec(agent, ExecRequest(argv=["true"]))).exit_code == 0
        lost = asyncio.create_task(far.exec(agent, ExecRequest(argv=["sleep", "4711"])))
        with anyio.fail_after(10):
            while (await shell(LEFT)).stdout.strip() == "0":
                continue
        line.cut()
        with anyio.fail_after(20), pytest.raises(SandboxDown) as down:
            await lost
        assert "doctor" in down.value.hint
        with anyio.fail_after(20), pytest.raises(SandboxDown, match="does not answer") as down:
            await far.exec(agent, ExecRequest(argv=["true"]))
        assert "Docker" in down.value.hint
        assert (await shell(_until_none_is_left())).stdout.strip() == "0"
        await line.open()
        assert (await far.exec(agent, ExecRequest(argv=["true"]))).exit_code == 0
    finally:
        await far.close()
        line.cut()


async def test_a_full_disk_says_so(sandboxes: DockerSandboxes, repository: Path) -> None:
    workspace, project = new_id("workspace"), new_id("project")
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=10001,gid=10001,mode=0755"}
    await sandboxes._engine.call(
        "volumes/create", "POST", data={"Name": f"hypercode-ws-{workspace}", "DriverOpts": options}
    )
    opening = OpenWorkspace(
        workspace_id=workspace, project_id=project, source_kind="local_path", source=str(repository)
    )
    try:
        await sandboxes.open_workspace(opening)
        start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=workspace)
        box = (await sandboxes.start(start)).sandbox_id
        big = base64.b64encode(bytes(4 << 20)).decode()
        with pytest.raises(TooLarge, match="no space left"):
            await sandboxes.write(box, WriteRequest(path="big", data_b64=big))
    finally:
        await sandboxes.close_workspace(workspace)
        await sandboxes._engine.remove_volume(f"hypercode-mirror-{project}")
