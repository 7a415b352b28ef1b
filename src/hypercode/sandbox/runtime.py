"""The base image, and the two read-only volumes that every sandbox mounts: our Python runtime and our code.

Both volumes are named by a hash of what they hold, so a new version makes a new volume and an old one is
never changed while a container uses it.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from hypercode.domain.errors import InvalidArgument, NotFound, SandboxDown
from hypercode.sandbox.engine import Engine, pack
from hypercode.sandbox.names import labels_of
from hypercode.sandbox.profiles import CODE, RUNTIME, ContainerSpec, Mount, runtime_config
from hypercode.settings import SandboxSettings

BASE_REPOSITORY = "hypercode-base"
Fill = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True)
class Runtime:
    """What every container needs: the base image's id and the mounts of runtime and code."""

    base_image: str
    mounts: tuple[Mount, ...]


def code_files() -> list[tuple[str, bytes]]:
    """Return (path, content) of what runs inside: the runner and the repair engine."""
    files: list[tuple[str, bytes]] = []
    for room, folder in (
        ("runner", resources.files("hypercode.sandbox").joinpath("runner")),
        ("repair", resources.files("hypercode.repair")),
    ):
        files.extend((f"{room}/{name}", content) for name, content in _walk(folder))
    return sorted(files)


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            found.extend(_walk(entry, f"{prefix}{entry.name}/"))
        elif entry.is_file() and not entry.name.endswith(".pyc"):
            found.append((prefix + entry.name, entry.read_bytes()))
    return found


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:20]


class RuntimeVolumes:
    """Makes the base image and the volumes at their first use, once a process."""

    def __init__(self, engine: Engine, settings: SandboxSettings, instance: str) -> None:
        self._engine = engine
        self._settings = settings
        self._instance = instance
        self._lock = asyncio.Lock()
        self._ready: Runtime | None = None

    async def ensure(self) -> Runtime:
        """Return the runtime; raises SandboxDown with a hint when the base image is not there."""
        async with self._lock:
            if self._ready is None or not await self._still_there(self._ready):
                base = await self._base_image()
                runtime = await self._volume(
                    f"hypercode-runtime-{_digest(base.encode(), _builder())}", self._make_runtime, base
                )
                files = code_files()
                parts = [part for path, content in files for part in (path.encode(), content)]
                # Compiled for the runtime's interpreter, so the runtime's name is a part of its own.
                code = await self._volume(
                    f"hypercode-code-{_digest(runtime.encode(), *parts)}", self._make_code, base
                )
                mounts = (Mount(runtime, RUNTIME, True), Mount(code, CODE, True))
                self._ready = Runtime(base_image=base, mounts=mounts)
            return self._ready

    async def _still_there(self, runtime: Runtime) -> bool:
        """Another installation of the same version may have cleaned up what the two share."""
        for mount in runtime.mounts:
            if not await self._engine.has_volume(f"{mount.source}.ready"):
                return False
        return True

    async def _base_image(self) -> str:
        """Return the id of the base image with git: known by its name, or looked into once and named."""
        reference = self._settings.base_image
        found = await self._engine.image_id(reference)
        if found is None:
            raise SandboxDown(
                f"the base image {reference} is not on this machine",
                hint="run `make setup` (deploy/images/build-base pulls it or builds it from Debian packages)",
            )
        tag = found.removeprefix("sha256:")[:20]
        known = await self._engine.image_id(f"{BASE_REPOSITORY}:{tag}")
        if known is not None:
            return known
        if not await self._has_git(found):
            raise SandboxDown(
                f"the base image {reference} has no git", hint="run deploy/images/build-base, which adds it"
            )
        await self._engine.call(f"images/{found}/tag", "POST", repo=BASE_REPOSITORY, tag=tag)
        return found

    async def _has_git(self, image: str) -> bool:
        name = f"hypercode-make-{secrets.token_hex(8)}"
        spec = ContainerSpec(
            image=image, argv=["git", "--version"], mounts=[], labels=labels_of(self._instance, "make")
        )
        try:
            await self._engine.create(name, runtime_config(spec, self._settings))
            await self._engine.start(name)
            return await self._engine.wait(name) == 0
        except (InvalidArgument, NotFound):
            return False
        finally:
            await self._engine.remove(name)

    async def _volume(self, name: str, fill: Fill, base: str) -> str:
        # A second, empty volume says that the first is finished: a crash half-way is then seen and repaired.
        finished = f"{name}.ready"
        if not (await self._engine.has_volume(finished) and await self._engine.has_volume(name)):
            labels = labels_of(self._instance, "runtime")
            await self._engine.create_volume(name, labels)
            await fill(name, base)
            await self._engine.create_volume(finished, labels)
        return name

    async def _make_runtime(self, volume: str, base: str) -> None:
        argv = ["/usr/bin/env", "python3", "-B", "/code/build_runtime.py"]
        code = f"{volume}.build"
        async with self._builder(code, base, argv, [Mount(volume, "/out"), Mount(code, "/code")]) as name:
            await self._engine.put(name, "/code", pack([("build_runtime.py", _builder())]))
            await self._engine.start(name)
            if await self._engine.wait(name) != 0:
                words = (await self._engine.logs(name, stderr=True))[-800:]
                raise SandboxDown(f"the runtime can't be made from the base image: {words}")
        await self._engine.remove_volume(code)

    async def _make_code(self, volume: str, base: str) -> None:
        # Compiled here, because the volume is read-only later: half of a runner's start was compiling.
        argv = ["/usr/bin/env", "python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        async with self._builder(volume, base, [*argv, "/out"], [Mount(volume, "/out")]) as name:
            await self._engine.put(name, "/out", pack(code_files()))
            await self._engine.start(name)
            if await self._engine.wait(name) != 0:
                words = (await self._engine.logs(name, stderr=True))[-800:]
                raise SandboxDown(f"the code volume can't be made: {words}")

    @asynccontextmanager
    async def _builder(
        self, volume: str, base: str, argv: list[str], mounts: list[Mount]
    ) -> AsyncGenerator[str]:
        name = f"hypercode-make-{secrets.token_hex(8)}"
        spec = ContainerSpec(image=base, argv=argv, mounts=mounts, labels=labels_of(self._instance, "make"))
        await self._engine.create_volume(volume, labels_of(self._instance, "make"))
        await self._engine.create(name, runtime_config(spec, self._settings))
        try:
            yield name
        finally:
            await self._engine.remove(name)


def _builder() -> bytes:
    return resources.files("hypercode.sandbox").joinpath("runner", "build_runtime.py").read_bytes()
