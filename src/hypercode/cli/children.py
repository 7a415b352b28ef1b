"""The processes of embedded mode: what each is started with, and how it is seen to be ready."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from hypercode.domain.errors import Unavailable

PR_SET_PDEATHSIG = 1
READY_TIMEOUT_S = 90.0
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

    def __init__(self, spec: ChildSpec, process: asyncio.subprocess.Process, log: Path) -> None:
        self.spec = spec
        self.process = process
        self.log = log

    async def ready(self) -> None:
        """Return when /healthz answers; raises Unavailable with the last words of its log when it died."""
        if self.spec.socket is None:
            return
        transport = httpx2.AsyncHTTPTransport(uds=str(self.spec.socket))
        async with httpx2.AsyncClient(transport=transport, base_url="http://child") as client:
            for _ in range(int(READY_TIMEOUT_S / READY_LOOK_S)):
                if self.process.returncode is not None:
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
        if self.process.returncode is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1][:500] if lines else "it said nothing"


async def start(spec: ChildSpec, environment: Mapping[str, str], logs: Path) -> Child:
    """Start a process in a session of its own: Ctrl-C reaches the supervisor alone, which stops the rest in order."""
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = logs / f"{spec.name}.log"
    if spec.socket is not None:
        spec.socket.unlink(missing_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "hypercode",
            *spec.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_environment(spec, environment),
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
    return Child(spec, process, log)


def _environment(spec: ChildSpec, environment: Mapping[str, str]) -> dict[str, str]:
    if spec.holds_model_keys:
        return dict(environment)
    # Model keys live in the worker only.
    return {
        name: value
        for name, value in environment.items()
        if not name.endswith(("_API_KEY", "_ACCESS_TOKEN", "_SECRET_KEY"))
        and not name.startswith("HYPERCODE_LLM__")
    }


def _die_with_parent() -> None:
    # A supervisor that was killed with -9 leaves no process of ours behind (Postgres is found again).
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os.kill(os.getpid(), signal.SIGTERM)
