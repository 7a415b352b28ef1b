"""Starting, finding and stopping sandboxes, and their connections to the runner inside."""

import asyncio
import hashlib
import re
import time
from collections import Counter
from typing import Any

from hypercode.domain.errors import InvalidArgument, NotFound, SandboxDown
from hypercode.sandbox.base import Profile, SandboxInfo, StartSandbox
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.names import LABELS, label, labels_of, snapshots_volume, workspace_volumes
from hypercode.sandbox.profiles import ContainerSpec, Mount, python, sandbox_config
from hypercode.sandbox.relay import Relay
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.settings import SandboxSettings
from hypercode.telemetry.metrics import SANDBOX_START_SECONDS, SANDBOX_STARTS, begin_at_zero

_SANDBOX_ID = re.compile(r"^hypercode-(agent|check|helper)-[0-9a-f]{24}$")


def sandbox_name(profile: Profile, owner: str, workspace_id: str) -> str:
    """Return the one name of the container for (profile, owner, workspace)."""
    key = f"{owner}\0{workspace_id}".encode()
    return f"hypercode-{profile}-{hashlib.sha256(key).hexdigest()[:24]}"


class Containers:
    """Sandboxes of one engine. Their state is the engine's; here are only open connections."""

    def __init__(
        self, engine: Engine, runtime: RuntimeVolumes, settings: SandboxSettings, instance: str
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._settings = settings
        self.instance = instance
        self._relays: dict[str, Relay] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._projects: dict[str, str] = {}
        profiles = [profile.value for profile in Profile]
        begin_at_zero(SANDBOX_STARTS, profiles, ["started", "found", "failed"])
        begin_at_zero(SANDBOX_START_SECONDS, profiles, ["create", "start", "runner"])

    async def start(
        self, request: StartSandbox, *, tree_volume: str | None = None, gitdir: bool = True
    ) -> SandboxInfo:
        """Start, or return the running container of the same (profile, owner, workspace).

        A check's work tree is a volume of its own, ``tree_volume``; that of a workspace which is closed has no gitdir.
        """
        try:
            info = await self._start(request, tree_volume, gitdir=gitdir)
        except Exception:
            SANDBOX_STARTS.labels(request.profile.value, "failed").inc()
            raise
        fresh = "start" in info.phases_ms
        SANDBOX_STARTS.labels(request.profile.value, "started" if fresh else "found").inc()
        if fresh:
            for phase, ms in info.phases_ms.items():
                SANDBOX_START_SECONDS.labels(request.profile.value, phase).observe(ms / 1000)
        return info

    async def _start(self, request: StartSandbox, tree_volume: str | None, *, gitdir: bool) -> SandboxInfo:
        # A workspace has one helper, whoever asks.
        owner = "" if request.profile is Profile.HELPER else request.owner
        name = sandbox_name(request.profile, owner, request.workspace_id)
        async with self._locks.setdefault(name, asyncio.Lock()):
            started = time.monotonic()
            wanted = await self._config(request, tree_volume, gitdir=gitdir)
            found = await self._engine.inspect(name)
            if found is not None and not _same(found, wanted):
                await self._forget(name)
                found = None
            phases: dict[str, float] = {}
            if found is None:
                await self._engine.create(name, wanted)
                phases["create"] = _since(started)
                started = time.monotonic()
                await self._engine.start(name)
                phases["start"] = _since(started)
                started = time.monotonic()
            await self._relay_of(name)
            phases["runner"] = _since(started)
            return SandboxInfo(
                sandbox_id=name,
                workspace_id=request.workspace_id,
                image_id=str(wanted["Image"]),
                phases_ms=phases,
            )

    async def _config(
        self, request: StartSandbox, tree_volume: str | None, *, gitdir: bool
    ) -> dict[str, Any]:
        runtime = await self._runtime.ensure()
        image = runtime.base_image
        if request.image is not None and request.profile is not Profile.HELPER:
            found = await self._engine.image_id(request.image)
            if found is None:
                raise NotFound(
                    f"no such image: {request.image}", hint="build the project's environment first"
                )
            image = found
        helper = request.profile is Profile.HELPER
        work, platform = workspace_volumes(request.workspace_id)
        spec = ContainerSpec(
            image=image,
            argv=python("runner/runner.py"),
            mounts=[
                Mount(tree_volume or work, "/workspace", request.read_only_workspace),
                *([Mount(platform, "/gitdir", not helper)] if gitdir else []),
                *([Mount(await self._snapshots_of(request.workspace_id), "/snapshots")] if helper else []),
                *runtime.mounts,
            ],
            labels=self.labels(request.profile, request.owner, request.workspace_id),
            env=request.env,
            memory_mb=request.memory_mb,
            cpus=request.cpus,
            workdir="/workspace",
        )
        return sandbox_config(request.profile, spec, self._settings)

    async def _snapshots_of(self, workspace_id: str) -> str:
        """The volume that a workspace's helper keeps its snapshots in: that of the project it was opened for."""
        if workspace_id not in self._projects:
            gitdir = await self._engine.call(f"volumes/{workspace_volumes(workspace_id)[1]}")
            self._projects[workspace_id] = str(gitdir["Labels"][LABELS["owner"]])
        return snapshots_volume(self._projects[workspace_id])

    def labels(self, kind: str, owner: str, workspace_id: str) -> dict[str, str]:
        """Return the labels that say whose a container is."""
        return labels_of(self.instance, kind, owner, workspace_id)

    async def running(self) -> dict[str, int]:
        """Count this installation's running containers by kind."""
        found = await self._engine.containers(label("instance", self.instance))
        return Counter(str(each["Labels"][LABELS["kind"]]) for each in found if each["State"] == "running")

    def connected(self, name: str) -> Relay | None:
        """The connection to a container, if there is one: nothing is asked of the engine."""
        relay = self._relays.get(name)
        return relay if relay is not None and not relay.closed else None

    def busy(self, name: str) -> bool:
        """Whether a call to this container is under way."""
        relay = self._relays.get(name)
        return relay is not None and relay.busy

    async def discard(self, name: str) -> None:
        """Remove a container whatever its kind is, with its connection."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            await self._forget(name)
        self._locks.pop(name, None)

    async def relay(self, sandbox_id: str) -> Relay:
        """Return the connection to a sandbox's runner, connecting again when it was lost."""
        if not _SANDBOX_ID.fullmatch(sandbox_id):
            raise InvalidArgument(f"not a sandbox id: {sandbox_id[:80]!r}")
        relay = self._relays.get(sandbox_id)
        if relay is not None and not relay.closed:
            return relay
        async with self._locks.setdefault(sandbox_id, asyncio.Lock()):
            return await self._relay_of(sandbox_id)

    async def _relay_of(self, name: str) -> Relay:
        relay = self._relays.get(name)
        if relay is not None and not relay.closed:
            return relay
        if relay is not None:
            await relay.close()
        found = await self._engine.inspect(name)
        if found is None:
            raise NotFound(f"no such sandbox: {name}")
        if not found["State"]["Running"]:
            raise SandboxDown(f"the sandbox has stopped: {_why(found)}", hint="start it again")
        relay = Relay(self._engine, name)
        await relay.open()
        self._relays[name] = relay
        return relay

    async def stop(self, sandbox_id: str) -> None:
        """Kill and remove a container; nothing to do is fine."""
        if not _SANDBOX_ID.fullmatch(sandbox_id):
            raise InvalidArgument(f"not a sandbox id: {sandbox_id[:80]!r}")
        async with self._locks.setdefault(sandbox_id, asyncio.Lock()):
            await self._forget(sandbox_id)
        self._locks.pop(sandbox_id, None)

    async def stop_of(self, profile: Profile, owner: str, workspace_id: str) -> None:
        """Remove the container of (profile, owner, workspace); nothing to do is fine."""
        await self.stop(sandbox_name(profile, owner, workspace_id))

    async def stop_workspace(self, workspace_id: str) -> None:
        """Remove every container of a workspace, and the images that were built from it; those in use stay."""
        self._projects.pop(workspace_id, None)
        for found in await self._engine.containers(label("run", workspace_id)):
            name = str(found["Names"][0]).lstrip("/")
            if _SANDBOX_ID.fullmatch(name):
                await self.stop(name)
            else:
                await self._engine.remove(name)
        for image in await self._engine.images(label("kind", "image"), label("run", workspace_id)):
            await self._engine.remove_unused_image(str(image["Id"]))

    async def _forget(self, name: str) -> None:
        relay = self._relays.pop(name, None)
        if relay is not None:
            await relay.close()
        await self._engine.remove(name)

    async def close(self) -> None:
        """Close the connections; containers go on."""
        for relay in list(self._relays.values()):
            await relay.close()
        self._relays.clear()


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)


def _why(found: dict[str, Any]) -> str:
    state = found["State"]
    return "out of memory" if state.get("OOMKilled") else f"exit code {state.get('ExitCode')}"


def _same(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a container is running and is what is wanted: same image, same mounts, same variables."""

    def mounts(items: list[dict[str, Any]]) -> set[tuple[str, str, bool]]:
        return {(item["Source"], item["Target"], bool(item.get("ReadOnly"))) for item in items}

    return (
        bool(found["State"]["Running"])
        and found["Image"] == wanted["Image"]
        and mounts(found["HostConfig"].get("Mounts") or []) == mounts(wanted["HostConfig"]["Mounts"])
        and set(wanted["Env"]) <= set(found["Config"]["Env"])
    )
