"""A real platform for tests: ``hypercode up`` in a process of its own, and ``hypercode run`` as a user calls it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

HYPERCODE = [sys.executable, "-m", "hypercode"]
READY_S = 120


@dataclass
class Outcome:
    """What a ``hypercode run --json`` printed and ended with."""

    exit_code: int
    lines: list[dict[str, Any]]
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]

    @property
    def finished(self) -> dict[str, Any]:
        assert self.last["type"] == "run.finished", self.last
        return self.last["payload"]

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [line["payload"] for line in self.lines if line["type"] == type_]


@dataclass
class Platform:
    """A data directory, and the live ``up`` on it if there is one."""

    data_dir: Path
    port: int = 0
    process: subprocess.Popen[str] | None = None
    setup_url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def env(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "HYPERCODE_DATA_DIR": str(self.data_dir)}

    def command(
        self, *arguments: str, timeout: float = 240, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*HYPERCODE, *arguments], env=self.env(), capture_output=True, text=True, timeout=timeout, check=False,
            **options,
        )  # fmt: skip

    def run(
        self, repo: Path, prompt: str, *options: str, model: str = "builtin/repair", timeout: float = 240
    ) -> Outcome:
        done = self.command(
            "run", "--repo", str(repo), "--model", model, "--json", *options, prompt, timeout=timeout
        )
        return Outcome(done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr)

    def start_run(self, repo: Path, prompt: str, *options: str, model: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*HYPERCODE, "run", "--repo", str(repo), "--model", model, "--json", *options, prompt],
            env=self.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def child_pids(self, name: str) -> list[int]:
        """The live process of a supervisor's child, by its command's name."""
        state = self.data_dir / "run" / "supervisor.json"
        if state.exists():
            self._seen.update(json.loads(state.read_text())["children"])
        pid = self._seen.get(name)
        return [pid] if pid is not None and Path(f"/proc/{pid}").exists() else []


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(platform: Platform, arguments: Sequence[str] = ()) -> Iterator[Platform]:
    """Start ``hypercode up``, wait until it says it is ready, and stop it with Ctrl-C at the end."""
    platform.port = free_port()
    process = subprocess.Popen(
        [*HYPERCODE, "up", "--port", str(platform.port), *arguments],
        env=platform.env(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    platform.process = process
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if "login#token=" in line:
            platform.setup_url = line.split(" at ", 1)[1].strip()
        if "Ctrl-C stops it" in line:
            break
    assert process.poll() is None, "".join(said)
    assert httpx2.get(f"{platform.url}/healthz").status_code == 200
    try:
        yield platform
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        process.stderr.close()


def wait_for(condition: Any, what: str, seconds: float = 60) -> None:
    """Look until a condition of another process holds; bounded."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s"
        time.sleep(0.02)
