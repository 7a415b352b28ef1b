"""A whole platform in processes that can each be killed: two gateways, two workers, and an engine of its own.

What a supervisor, Compose or Kubernetes does elsewhere is done here by one thread: a process that has died is started
again. Nothing else of the platform knows that it is tested.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil
import psycopg
from tests.behaviour.platform import HYPERCODE, free_port, wait_for
from tests.fixtures.redis_server import RedisServer

from hypercode.cli.keys import ensure_keys
from hypercode.store import embedded
from hypercode.store.embedded import EmbeddedPostgres

BASE_IMAGE = "python:3.13-slim"
BACK_WITHIN_S = 0.5
PARTS = ("sandboxd", "tools", "verifier", "worker-1", "worker-2", "gateway-1", "gateway-2")


@dataclass
class Part:
    """One process of the platform, started again by the keeper whenever it has died."""

    name: str
    argv: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    held_down: bool = False

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.argv, env=self.environment, stdout=log, stderr=log)

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    @property
    def dead(self) -> bool:
        return self.process is None or self.process.poll() is not None


class Engine:
    """A Docker engine of its own: nobody else's containers feel what happens to it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.url = f"unix://{home / 'docker.sock'}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        network = self._network()
        # As scripts/setup does: an engine that was killed leaves its pid files.
        for stale in (self._home / "pid", self._home / "exec" / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["nsenter", f"--net={network}", "dockerd", "--data-root", self._home / "data",
                 "--exec-root", self._home / "exec",
                 "--pidfile", self._home / "pid", "--host", self.url, "--bridge", "none", "--iptables=false"],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self.answers, "the engine", 60)

    def _network(self) -> Path:
        """A network of its own: an engine without a bridge takes away the one of the machine's own engine."""
        network = self._home / "network"
        if not network.exists():
            network.touch()
            subprocess.run(["unshare", f"--net={network}", "true"], check=True)
        return network

    def answers(self) -> bool:
        return self.docker("version").returncode == 0

    def docker(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *arguments], env={**os.environ, "DOCKER_HOST": self.url}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    def load(self, image: str) -> None:
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "-H", self.url, "load", "-q"], stdin=saved.stdout, check=True, capture_output=True
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        if self._process is None:
            return
        if names := self.docker("ps", "-aq").stdout.split():
            self.docker("rm", "-f", *names)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        subprocess.run(["umount", self._home / "network"], check=False, capture_output=True)


@dataclass
class Cluster:
    """Everything that can be killed, and where it is reached."""

    home: Path
    postgres: EmbeddedPostgres
    redis: RedisServer
    engine: Engine
    model_url: str
    logs: Path
    parts: dict[str, Part] = field(default_factory=dict)
    gateways: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    @property
    def data_dir(self) -> Path:
        return self.home / "d"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HYPERCODE_DATA_DIR": str(self.data_dir),
            "HYPERCODE_DATABASE_URL": self.postgres.url,
            "HYPERCODE_REDIS_URL": self.redis.url,
            "HYPERCODE_LLM__BASE_URL": f"{self.model_url}/v1",
            "HYPERCODE_LLM__API_KEY": "none",
            "HYPERCODE_GATEWAY__ALLOWED_ROOTS": '["/tmp"]',
            "HYPERCODE_GATEWAY__REQUESTS_PER_MINUTE": "1000000",
            "DOCKER_HOST": self.engine.url,
            "PYTHONUNBUFFERED": "1",
        }

    def start(self) -> None:
        for directory in (self.logs, self.data_dir / "run", self.data_dir / "artifacts"):
            directory.mkdir(parents=True, exist_ok=True)
        ensure_keys(self.data_dir / "keys")
        self.engine.start()
        self.engine.load(BASE_IMAGE)
        self.postgres.start()
        self.redis.start()
        subprocess.run([*HYPERCODE, "migrate"], env=self.environment(), check=True, capture_output=True)
        for name in PARTS:
            self._add(name)
        wait_for(lambda: all(map(self.gateway_ready, self.gateways)), "the gateways", 120)
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    def _add(self, name: str) -> None:
        command = name.partition("-")[0]
        environment = self.environment()
        if command == "gateway":
            port = free_port()
            environment["HYPERCODE_GATEWAY__PORT"] = str(port)
            self.gateways.append(f"http://127.0.0.1:{port}")
        argv = [*HYPERCODE, command]
        if command == "worker":
            argv += ["--place", name, "--socket", str(self.data_dir / "run" / f"{name}.sock")]
        part = Part(name, argv, environment, self.logs / f"{name}.log")
        self.parts[name] = part
        part.start()

    def gateway_ready(self, url: str) -> bool:
        try:
            return httpx2.get(f"{url}/healthz", timeout=5).status_code == 200
        except httpx2.TransportError:
            return False

    def setup_token(self) -> str:
        path = self.home / "token"
        subprocess.run(
            [*HYPERCODE, "admin", "setup-token", "--out", str(path)], env=self.environment(), check=True,
            capture_output=True,
        )  # fmt: skip
        return path.read_text()

    def kill_postgres(self) -> None:
        """As a power cut: the postmaster and all it started, then a start that recovers from the log."""
        postmaster = psutil.Process(int((self.postgres.data / "postmaster.pid").read_text().split()[0]))
        everything = [postmaster, *postmaster.children(recursive=True)]
        for process in everything:
            process.kill()
        _, alive = psutil.wait_procs(everything, timeout=30)
        assert not alive
        self.postgres.start()

    def state_of(self, run_ids: Iterable[str]) -> str:
        """What the database says of runs, for whoever reads of a failure."""
        lines: list[str] = []
        with psycopg.connect(self.postgres.url) as connection:
            for run_id in run_ids:
                of_run = {"run": run_id}
                flows = connection.execute(
                    "SELECT workflow_uuid, status, executor_id, left(error, 300) FROM dbos.workflow_status "
                    "WHERE starts_with(workflow_uuid, %(run)s)", of_run,
                ).fetchall()  # fmt: skip
                steps = connection.execute(
                    "SELECT function_id, function_name, left(error, 300) FROM dbos.operation_outputs "
                    "WHERE starts_with(workflow_uuid, %(run)s) ORDER BY function_id DESC LIMIT 2", of_run,
                ).fetchall()  # fmt: skip
                events = connection.execute(
                    "SELECT seq, type, step_key, at FROM run_events WHERE run_id = %(run)s ORDER BY seq DESC LIMIT 3",
                    of_run,
                ).fetchall()  # fmt: skip
                lines += [f"{run_id}: {flows}", f"  steps {steps}", f"  events {events}"]
        return "\n".join(lines)

    def _keep(self) -> None:
        delays = random.Random(1)
        while not self._stopping.wait(0.05):
            for part in self.parts.values():
                if part.dead and not part.held_down:
                    time.sleep(delays.uniform(0, BACK_WITHIN_S))
                    part.start()

    def close(self) -> None:
        self._stopping.set()
        if self._keeper is not None:
            self._keeper.join(10)
        for part in self.parts.values():
            if not part.dead:
                part.signal(signal.SIGKILL)
                assert part.process is not None
                part.process.wait()
        self.redis.close()
        self.postgres.stop()
        self.engine.close()


@contextmanager
def running_cluster(home: Path, model_url: str, logs: Path) -> Iterator[Cluster]:
    home.chmod(0o711)
    redis = home / "redis"
    redis.mkdir()
    postgres = embedded.prepare(home / "postgres")
    cluster = Cluster(home, postgres, RedisServer(redis), Engine(home / "engine"), model_url, logs)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
