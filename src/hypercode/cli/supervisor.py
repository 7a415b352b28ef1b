"""Embedded mode: one supervisor starts Postgres and the processes, restarts what dies, and stops it all."""

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path

import structlog
from pydantic import BaseModel, SecretStr, ValidationError, field_serializer

from hypercode.cli.children import Child, ChildSpec, Starter
from hypercode.cli.keys import ensure_keys
from hypercode.domain.errors import Conflict, Unavailable
from hypercode.policy.files import load_policy
from hypercode.settings import Settings, worker_name
from hypercode.store import embedded
from hypercode.store.embedded import EmbeddedPostgres

logger = structlog.get_logger(__name__)
Say = Callable[[str], None]
QUICK_DEATH_S = 5.0
QUICK_DEATHS = 5
QUICK_MIGRATION_S = 1.0


class State(BaseModel):
    """What a live supervisor tells others of itself, in ``run/supervisor.json``."""

    pid: int
    version: str
    database_url: str
    redis_url: SecretStr | None = None
    gateway_url: str | None
    children: dict[str, int]

    @field_serializer("redis_url")
    def _in_the_clear(self, url: SecretStr | None) -> str | None:
        # The file is its owner's only, as the database's URL in it demands.
        return url.get_secret_value() if url else None


def state_path(settings: Settings) -> Path:
    return settings.runtime_dir / "supervisor.json"


def live_state(settings: Settings) -> State | None:
    """Return the state of the supervisor that holds this data directory, or None when there is none."""
    lock_path = settings.runtime_dir / "lock"
    if not lock_path.exists():
        return None
    with lock_path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            path = state_path(settings)
            try:
                return State.model_validate_json(path.read_text()) if path.exists() else None
            except ValidationError as failure:
                raise Conflict(
                    f"The hypercode that is using {settings.data_dir} is of another version than this one.",
                    hint="Stop it (Ctrl-C where `hypercode up` runs) and start it again.",
                ) from failure
    return None


class Supervisor:
    """Use as an async context manager: started and ready inside, everything stopped after."""

    def __init__(self, settings: Settings, *, gateway: bool, say: Say) -> None:
        self._settings = settings
        self._gateway = gateway
        self._say = say
        self._lock: TextIOWrapper | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._children: dict[str, Child] = {}
        self._starter = Starter(settings.data_dir / "logs", os.environ)
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False
        self.failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.database_url = ""

    async def __aenter__(self) -> "Supervisor":
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        # Said here, where a person reads it, and not only in the log of the tools process.
        load_policy(self._settings.policy_file)
        self._make_directories()
        self._take_lock()
        ensure_keys(self._settings.keys_dir)
        await self._starter.open(
            ["migrate", *(["admin"] if self._gateway else []), *{s.arguments[0]: None for s in self._specs()}]
        )
        self.database_url = await asyncio.to_thread(self._start_database)
        await self._migrate()
        specs = self._specs()
        self._say("Starting " + ", ".join(spec.name for spec in specs))
        for spec in specs:
            self._children[spec.name] = await self._starter.start(spec, self._environment())
        await asyncio.gather(*(child.ready() for child in self._children.values()))
        self._write_state()
        self._watchers = [asyncio.create_task(self._watch(spec)) for spec in specs]

    async def _stop(self) -> None:
        self._stopping = True
        for watcher in self._watchers:
            watcher.cancel()
        state_path(self._settings).unlink(missing_ok=True)
        # The workers first: nobody should lose the tools under a call that is still wanted.
        last = ("verifier", "tools", "sandboxd")
        first = tuple(name for name in self._children if name not in last)
        for names in (first, last[:2], last[2:]):
            await asyncio.gather(*(self._children[n].stop() for n in names if n in self._children))
        await self._starter.close()
        if self._postgres is not None:
            await asyncio.to_thread(self._postgres.stop)
        if self._lock is not None:
            self._lock.close()

    def _make_directories(self) -> None:
        settings = self._settings
        try:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
            for directory in (settings.runtime_dir, settings.artifacts_dir, self._logs):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Unavailable(
                f"The data directory {settings.data_dir} can't be used: {error.strerror}.",
                hint="Set HYPERCODE_DATA_DIR to a directory you can write to.",
            ) from error

    def _take_lock(self) -> None:
        self._lock = (self._settings.runtime_dir / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise Conflict(
                f"Another hypercode is already using {self._settings.data_dir}.",
                hint="Use that one, stop it, or set HYPERCODE_DATA_DIR to another directory.",
            ) from None

    def _start_database(self) -> str:
        url = self._settings.database_url
        if url is None:
            self._say("Starting Postgres")
            self._postgres = embedded.prepare(self._settings.data_dir / "postgres")
            self._postgres.start()
            url = self._postgres.url
        return url

    async def _migrate(self) -> None:
        """Bring the database to this version, in a process of its own: its libraries are needed nowhere else."""
        child = await self._starter.start(ChildSpec("migrate", ("migrate",)), self._environment())
        with suppress(TimeoutError):
            # Nearly always there is nothing to do; what takes longer is worth a word.
            await asyncio.wait_for(asyncio.shield(child.ended), QUICK_MIGRATION_S)
        if not child.ended.done():
            self._say("Preparing the database")
        if await child.ended != 0:
            raise Unavailable(
                f"The database can't be brought to this version: {child.last_words()}",
                hint=f"See {child.log}.",
            )

    async def setup_token(self) -> str | None:
        """A fresh one-time token for the first admin; None when there is one already."""
        path = self._settings.runtime_dir / "setup-token"
        path.unlink(missing_ok=True)
        child = await self._starter.start(
            ChildSpec("admin", ("admin", "setup-token", "--out", str(path))), self._environment()
        )
        if await child.ended != 0:
            raise Unavailable(
                f"The first-run link can't be made: {child.last_words()}", hint=f"See {child.log}."
            )
        if not path.exists():
            return None
        token = path.read_text()
        path.unlink()
        return token

    @property
    def _logs(self) -> Path:
        return self._settings.data_dir / "logs"

    def _specs(self) -> list[ChildSpec]:
        at = self._settings.socket
        specs = [
            ChildSpec("sandboxd", ("sandboxd",), at("sandboxd")),
            ChildSpec("tools", ("tools",), at("tools")),
            ChildSpec("verifier", ("verifier",), at("verifier")),
            *(self._worker(number) for number in range(1, self._settings.runs.workers + 1)),
        ]
        if self._gateway:
            specs.append(ChildSpec("gateway", ("gateway",), at("gateway")))
        return specs

    def _worker(self, number: int) -> ChildSpec:
        """Nobody else starts workers at these places, so what one left is taken over as soon as the next is there."""
        name = worker_name(number)
        place = f"{socket.gethostname()} {self._settings.data_dir} {name}"
        arguments = ("worker", "--place", place, "--socket", str(self._settings.socket(name)))
        return ChildSpec(name, arguments, self._settings.socket(name), holds_model_keys=True)

    def _environment(self) -> dict[str, str]:
        return {
            "HYPERCODE_DATABASE_URL": self.database_url,
            "HYPERCODE_DATA_DIR": str(self._settings.data_dir),
            "HYPERCODE_GATEWAY__HOST": self._settings.gateway.host,
            "HYPERCODE_GATEWAY__PORT": str(self._settings.gateway.port),
            "HYPERCODE_GATEWAY__ALLOWED_ROOTS": json.dumps(
                [str(root) for root in self._settings.gateway.allowed_roots]
            ),
            "PYTHONUNBUFFERED": "1",
        }

    def _write_state(self) -> None:
        gateway = self._settings.gateway
        state = State(
            pid=os.getpid(),
            version=version("hypercode-platform"),
            database_url=self.database_url,
            redis_url=self._settings.redis_url,
            gateway_url=f"http://{gateway.host}:{gateway.port}" if self._gateway else None,
            children={name: child.pid for name, child in self._children.items()},
        )
        path = state_path(self._settings)
        # Others read it at any moment: they find the old one or the new one, and never half of one.
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(state.model_dump_json())
        fresh.replace(path)

    async def _watch(self, spec: ChildSpec) -> None:
        """Start a process again as soon as it dies; give up on one that dies at once, again and again."""
        quick = 0
        while True:
            started = time.monotonic()
            child = self._children[spec.name]
            # Shielded: the watcher may be cancelled, the news of the child's end may not.
            code = await asyncio.shield(child.ended)
            if self._stopping:
                return
            logger.warning("child.died", name=spec.name, exit_code=code)
            self._say(f"{spec.name} died (exit code {code}); starting it again")
            quick = quick + 1 if time.monotonic() - started < QUICK_DEATH_S else 0
            if quick >= QUICK_DEATHS:
                if not self.failed.done():
                    self.failed.set_result(f"{spec.name} keeps dying: {child.last_words()} (see {child.log})")
                return
            self._children[spec.name] = await self._starter.start(spec, self._environment())
            self._write_state()


@asynccontextmanager
async def attached(settings: Settings, say: Say) -> AsyncGenerator[State]:
    """Use the live platform of this data directory, or start one without a gateway for as long as needed."""
    state = live_state(settings)
    if state is not None:
        if state.version != version("hypercode-platform"):
            raise Conflict(
                f"A hypercode of version {state.version} is running here; this is {version('hypercode-platform')}.",
                hint="Stop the other one, or use its version.",
            )
        say(f"Using the platform that is running (pid {state.pid})")
        yield state
        return
    async with Supervisor(settings, gateway=False, say=say):
        yield State.model_validate_json(state_path(settings).read_text())
