"""The verifier process over its real socket, asked by its client."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import uvicorn
from tests.verification.bench import CHECK, Court
from tests.verification.cases import FIXED

from hypercode.domain.attestation import Grade
from hypercode.domain.errors import Conflict, HyperCodeError, NotFound, Unauthenticated, Unavailable
from hypercode.platform_api.types import CheckRan, CheckRun
from hypercode.verification.app import create_app
from hypercode.verification.checks import CheckRunner
from hypercode.verification.client import VerifierClient

pytestmark = pytest.mark.anyio
KEY = "k" * 64


async def listening(socket: Path) -> None:
    with anyio.fail_after(10):
        while True:
            try:
                await (await anyio.connect_unix(socket)).aclose()
            except OSError:
                await asyncio.sleep(0.01)
            else:
                return


@asynccontextmanager
async def serving(court: Court, runner: CheckRunner | None = None) -> AsyncIterator[Path]:
    # A socket's path holds 107 bytes: not under pytest's own long directories.
    with tempfile.TemporaryDirectory(prefix="hcv-") as directory:
        socket = Path(directory) / "v.sock"
        app = create_app(court.verifier(runner), KEY)
        server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve())
        await listening(socket)
        yield socket
        server.should_exit = True
        await task


@asynccontextmanager
async def calling(socket: Path, key: str = KEY) -> AsyncIterator[VerifierClient]:
    client = VerifierClient(socket, key)
    yield client
    await client.close()


async def test_freeze_and_verify_with_progress(court: Court) -> None:
    phases: list[str] = []

    async def progress(phase: str, message: str) -> None:
        phases.append(phase)

    with anyio.fail_after(60):
        async with serving(court) as socket, calling(socket) as client:
            run_id = await court.new_run()
            frozen = await client.freeze(run_id=run_id, environment=court.environment, checks=[CHECK])
            exported = await court.bench.export(court.workspaces[run_id], {"calc/core.py": FIXED})
            verified = await client.verify(
                run_id=run_id, head_commit=exported.head_commit, head_tree=exported.head_tree,
                diff=exported.diff, progress=progress,
            )  # fmt: skip
    assert frozen.base_failed == 2
    assert verified.verdict.grade is Grade.FIXED
    assert phases == ["checks", "grading", "signing"]


async def test_errors_come_back_as_themselves(court: Court) -> None:
    async def progress(phase: str, message: str) -> None:
        return None

    with anyio.fail_after(60):
        async with serving(court) as socket:
            async with calling(socket, "wrong") as stranger:
                with pytest.raises(Unauthenticated):
                    await stranger.freeze(run_id="run_x", environment=court.environment, checks=[])
            async with calling(socket) as client:
                with pytest.raises(NotFound):
                    await client.freeze(run_id="run_x", environment=court.environment, checks=[])
                with pytest.raises(Conflict):
                    await client.verify(
                        run_id=await court.new_run(),
                        head_commit="a",
                        head_tree="b",
                        diff="",
                        progress=progress,
                    )
        async with calling(socket) as client:
            with pytest.raises(Unavailable):
                await client.freeze(run_id="run_x", environment=court.environment, checks=[])


class Endless:
    """A runner whose head check never ends; it says when it began and when it was cancelled."""

    def __init__(self, inner: CheckRunner) -> None:
        self.inner = inner
        self.head_began = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.base = True

    async def check_run(self, request: CheckRun) -> CheckRan:
        if self.base:
            return await self.inner.check_run(request)
        self.head_began.set()
        try:
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            self.cancelled.set()


async def test_hanging_up_stops_the_work(court: Court) -> None:
    told = asyncio.Event()

    async def progress(phase: str, message: str) -> None:
        told.set()

    runner = Endless(court.bench)
    with anyio.fail_after(60):
        async with serving(court, runner) as socket, calling(socket) as client:
            run_id = await court.new_run()
            await client.freeze(run_id=run_id, environment=court.environment, checks=[CHECK])
            runner.base = False
            asked = asyncio.create_task(
                client.verify(run_id=run_id, head_commit="a", head_tree="b", diff="", progress=progress)
            )
            await runner.head_began.wait()
            # Cancelled while it waits for bytes, not while some arrive.
            await told.wait()
            asked.cancel()
            await runner.cancelled.wait()
            with pytest.raises(asyncio.CancelledError):
                await asked


async def test_a_broken_runner_ends_in_an_error_line(court: Court) -> None:
    async def progress(phase: str, message: str) -> None:
        return None

    class Broken:
        async def check_run(self, request: CheckRun) -> CheckRan:
            raise RuntimeError("secret detail")

    with anyio.fail_after(60):
        run_id = await court.new_run()
        await court.freeze(run_id)
        async with serving(court, Broken()) as socket, calling(socket) as client:
            with pytest.raises(HyperCodeError, match="RuntimeError") as caught:
                await client.verify(run_id=run_id, head_commit="a", head_tree="b", diff="", progress=progress)
    assert "secret detail" not in caught.value.message
