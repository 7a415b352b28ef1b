"""A tools process of its own for tests that kill it."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
from anyio.abc import Process

from hypercode.store.database import Database

SERVER = Path(__file__).with_name("killed_server.py")


@contextlib.asynccontextmanager
async def server(
    database: Database, public_hex: str, directory: Path, *, tools: str = "hanging"
) -> AsyncIterator[Process]:
    """A tools process that may be killed, with one of the sets of tools of killed_server.py."""
    argv = [sys.executable, str(SERVER), database.url, public_hex, str(directory), tools]
    async with await anyio.open_process(argv, stderr=None) as process:
        await answering(directory / "tools.sock", process)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def answering(path: Path, process: Process) -> None:
    """Ask until the process answers; each try is a real request, and fail_after bounds them all."""
    assert process.stdout is not None
    with anyio.fail_after(90):
        # The server's first log line; what is left then is binding the socket.
        await process.stdout.receive()
        async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(path))) as http:
            while process.returncode is None:
                with contextlib.suppress(httpx2.TransportError):
                    if (await http.get("http://tools/healthz")).status_code == 200:
                        return
                await anyio.lowlevel.checkpoint()
    raise AssertionError("the server ended")
