"""The processes of embedded mode: what each is started with, and how it is seen to be ready and to end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from hypercode.domain.errors import Unavailable

READY_TIMEOUT_S = 120.0
READY_LOOK_S = 0.03
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class ChildSpec:
    """One process: its command of ours, the socket its /healthz is on, and whether it may see model keys."""

    name: str
    arguments: tuple[str, ...]
    socket: Path | None = None
    holds_model_keys: bool = False


class Child:
    """A running process of a spec; its output goes to a log file of its own."""

    def __init__(self, spec: ChildSpec, pid: int, ended: asyncio.Future[int], log: Path) -> None:
        self.spec = spec
        self.pid = pid
        self.ended = ended
        self.log = log

    async def ready(self) -> None:
        """Return when /healthz answers; raises Unavailable with the last words of its log when it died."""
        if self.spec.socket is None:
            return
        transport = httpx2.AsyncHTTPTransport(uds=str(self.spec.socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://child") as client:
            for _ in range(int(READY_TIMEOUT_S / READY_LOOK_S)):
                if self.ended.done():
                    raise Unavailable(
                        f"{self.spec.name} did not start: {self.last_words()}", hint=f"See {self.log}."
                    )
                try:
                    if (await client.get("/healthz")).status_code == 200:
                        return
                except httpx2.TransportError:
                    await asyncio.sleep(READY_LOOK_S)
        raise Unavailable(
            f"{self.spec.name} is not ready after {READY_TIMEOUT_S:.0f} s.", hint=f"See {self.log}."
        )

    async def stop(self) -> None:
        if self.ended.done():
            return
        os.kill(self.pid, signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(self.ended), STOP_TIMEOUT_S)
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
            await self.ended

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1][:500] if lines else "it said nothing"


class Starter:
    """Starts children: through the fork server on Linux, as new interpreters elsewhere."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = dict(environment)
        self._server: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._orders = 0
        self._pids: dict[int, asyncio.Future[int]] = {}
        self._ends: dict[int, asyncio.Future[int]] = {}

    async def open(self, commands: Sequence[str]) -> None:
        """Begin to load the code of these commands in the fork server; children can be ordered at once, and start when it is loaded."""
        if sys.platform != "linux":
            return
        with (self._logs / "forkserver.log").open("ab") as log:
            self._server = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hypercode",
                "forkserver",
                *commands,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=_without_model_keys(self._environment),
                start_new_session=True,
            )
        self._reader = asyncio.create_task(self._read())

    async def close(self) -> None:
        if self._server is None or self._server.stdin is None:
            return
        self._server.stdin.close()
        await self._server.wait()
        if self._reader is not None:
            await self._reader

    async def start(self, spec: ChildSpec, more: Mapping[str, str]) -> Child:
        """Start a process in a session of its own: Ctrl-C reaches the supervisor alone, which stops the rest."""
        log = self._logs / f"{spec.name}.log"
        if spec.socket is not None:
            spec.socket.unlink(missing_ok=True)
        environment = {**self._environment, **more}
        if not spec.holds_model_keys:
            environment = _without_model_keys(environment)
        if self._server is not None:
            return await self._fork(spec, environment, log)
        return await _spawn(spec, environment, log)

    async def _fork(self, spec: ChildSpec, environment: dict[str, str], log: Path) -> Child:
        self._orders += 1
        number, loop = self._orders, asyncio.get_running_loop()
        pid, ended = loop.create_future(), loop.create_future()
        self._pids[number], self._ends[number] = pid, ended
        order = {"id": number, "arguments": spec.arguments, "environment": environment, "log": str(log)}
        if self._server is None or self._server.stdin is None:
            raise Unavailable("The fork server is not open.")
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        return Child(spec, await pid, ended, log)

    async def _read(self) -> None:
        if self._server is None or self._server.stdout is None:
            return
        async for text in self._server.stdout:
            line: dict[str, Any] = json.loads(text)
            if "pid" in line:
                self._pids.pop(line["id"]).set_result(line["pid"])
            elif "exit_code" in line:
                self._ends.pop(line["id"]).set_result(line["exit_code"])
        gone = Unavailable("The fork server ended.", hint=f"See {self._logs / 'forkserver.log'}.")
        for pid in self._pids.values():
            pid.set_exception(gone)
        for ended in self._ends.values():
            ended.set_result(-signal.SIGTERM)


async def _spawn(spec: ChildSpec, environment: Mapping[str, str], log: Path) -> Child:
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hypercode", *spec.arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True,
        )  # fmt: skip
    return Child(spec, process.pid, asyncio.ensure_future(process.wait()), log)


def _without_model_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Model keys live in the worker only."""
    secret = ("_API_KEY", "_ACCESS_TOKEN", "_SECRET_KEY")
    return {
        name: value
        for name, value in environment.items()
        if not name.endswith(secret) and not name.startswith("HYPERCODE_LLM__")
    }
