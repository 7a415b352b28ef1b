"""Containers that agents start, on the engine: always an owner's, always of one profile."""

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

from hypercode.domain.errors import Conflict, InvalidArgument, NotFound, SandboxDown
from hypercode.domain.web_exchange import WebAnswer
from hypercode.sandbox.app_http import AppHttpClient
from hypercode.sandbox.app_images import AppImages, field_of, settings_of
from hypercode.sandbox.apps import (
    AppExec,
    AppHttp,
    AppInfo,
    AppList,
    AppLogs,
    AppOutput,
    AppPort,
    AppRef,
    AppsOf,
    RunApp,
)
from hypercode.sandbox.base import ExecResult
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.names import LABELS, TTL_S, app_name, label, labels_of
from hypercode.sandbox.profiles import CODE, HOME, RUNTIME, USER, ContainerSpec, deployed_config, python
from hypercode.sandbox.relay import Relay, text_of
from hypercode.sandbox.replies import checked_reply
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.settings import SandboxSettings

KINDS = frozenset({"app", "deployment"})
GRACE_S = 5.0
MAX_VOLUMES = 8
OURS = (RUNTIME, CODE, HOME, "/tmp", "/run", "/proc", "/sys", "/dev")
_PLACE = re.compile(r"/[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
_NAME = re.compile(r"hypercode-app-[0-9a-f]{32}")


class AppContainers:
    """Starts, shows and ends an owner's containers. Their state is the engine's; here are only connections."""

    def __init__(
        self,
        engine: Engine,
        runtime: RuntimeVolumes,
        images: AppImages,
        settings: SandboxSettings,
        instance: str,
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._images = images
        self._settings = settings
        self._instance = instance
        self._clients: dict[str, AppHttpClient] = {}
        self._relays: dict[str, Relay] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Close the connections; containers go on."""
        for name in [*self._clients, *self._relays]:
            await self._disconnect(name)

    async def forget_gone(self) -> None:
        """Close the connections to containers that are not there any more."""
        for name in {*self._clients, *self._relays}:
            if await self._engine.inspect(name) is None:
                await self._disconnect(name)
                self._locks.pop(name, None)

    async def run(self, request: RunApp) -> AppInfo:
        """Start a container; an id that is there already is returned as it is."""
        ref = AppRef(container_id=request.container_id, owner=request.owner)
        name = app_name(request.container_id)
        # One at a time for an owner, so that its limit holds.
        async with self._locks.setdefault(request.owner, asyncio.Lock()):
            if await self._engine.inspect(name) is None:
                await self._refuse_too_many(request)
                await self._engine.create(name, await self._wanted(request))
                try:
                    await self._engine.start(name)
                except BaseException:
                    await asyncio.shield(self._engine.remove(name))
                    raise
        return await self.show(ref)

    async def _refuse_too_many(self, request: RunApp) -> None:
        kind = label("kind", request.kind)
        there = await self._engine.containers(*self._labels_of_owner(request.owner), kind)
        if len(there) >= self._settings.containers_per_run:
            raise Conflict(
                f"there are {len(there)} containers already",
                hint="Remove one with container_rm or deploy_stop.",
            )

    async def _wanted(self, request: RunApp) -> dict[str, Any]:
        runtime = await self._runtime.ensure()
        image = await self._images.found(request.image)
        settings = settings_of(image)
        argv = request.command or [*settings.entrypoint, *settings.command]
        if not argv:
            raise InvalidArgument("the image names no command", hint="Give one.")
        limits = self._settings
        spec = ContainerSpec(
            image=str(image["Id"]),
            argv=argv,
            mounts=[*runtime.mounts],
            labels=self._labels(request),
            env=request.env,
            memory_mb=min(request.memory_mb or limits.memory_mb, limits.memory_mb),
            cpus=min(request.cpus or limits.cpus, limits.cpus),
            workdir=settings.workdir,
        )
        return deployed_config(spec, _volumes(image), self._settings)

    def _labels(self, request: RunApp) -> dict[str, str]:
        ttl_s = self._settings.deployment_ttl_s if request.kind == "deployment" else TTL_S
        return {
            **labels_of(self._instance, request.kind, request.owner, request.workspace_id, ttl_s=ttl_s),
            LABELS["image"]: request.image.name,
            LABELS["ports"]: ",".join(map(str, request.ports)),
        }

    def _labels_of_owner(self, owner: str) -> tuple[str, str]:
        return label("instance", self._instance), label("owner", owner)

    async def show(self, request: AppRef) -> AppInfo:
        """Return what the owner may know of a container."""
        found = await self._found(request.container_id, request.owner)
        ports = [int(port) for port in found["Config"]["Labels"][LABELS["ports"]].split(",") if port]
        listening: dict[int, bool] = {}
        for port in ports:
            up = found["State"]["Running"] and await self._client(request.container_id).listens(port)
            listening[port] = bool(up)
        return _info(request.container_id, found, listening)

    async def owned(self, request: AppsOf) -> AppList:
        """Return the owner's containers, oldest first."""
        there = await self._engine.containers(*self._labels_of_owner(request.owner))
        found: list[AppInfo] = []
        for each in sorted(there, key=lambda one: float(one["Created"])):
            name = str(each["Names"][0]).lstrip("/")
            whole = await self._engine.inspect(name) if _NAME.fullmatch(name) else None
            if whole is not None and whole["Config"]["Labels"].get(LABELS["kind"]) in KINDS:
                found.append(_info("ctr_" + name.removeprefix("hypercode-app-"), whole, {}))
        return AppList(containers=found)

    async def logs(self, request: AppLogs) -> AppOutput:
        """Return a container's output, both streams in the order they were written."""
        await self._found(request.container_id, request.owner)
        asked = {"tail": str(request.tail)} if request.since is None else {"since": request.since}
        lines = await self._engine.stamped_logs(app_name(request.container_id), **asked)
        kept = lines[: request.tail] if request.since is not None else lines
        after = _after(kept[-1][0]) if kept else request.since
        return AppOutput(text="".join(text for _, text in kept), next=after)

    async def exec(self, request: AppExec) -> ExecResult:
        """Run a command in a container; its process tree is dead when this returns or is cancelled."""
        found = await self._running(request.container_id, request.owner)
        relay = await self._relay(app_name(request.container_id))
        asked = request.request.model_dump()
        asked["cwd"] = str(found["Config"].get("WorkingDir") or "/").strip("/") or "."
        reply = await relay.call("exec", asked, seconds=request.request.timeout_s + 30)
        streams = {"stdout": text_of(reply, "stdout_b64"), "stderr": text_of(reply, "stderr_b64")}
        kept = {key: value for key, value in reply.items() if not key.endswith("_b64")}
        return checked_reply(ExecResult, {**kept, **streams})

    async def _relay(self, name: str) -> Relay:
        """Return the connection to the runner beside the program; it is started at its first use."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            relay = self._relays.get(name)
            if relay is None or relay.closed:
                # One that is there already keeps its socket, and this one ends at once.
                await self._engine.run_beside(name, python("runner/runner.py", "--beside"), user=USER)
                relay = Relay(self._engine, name)
                await relay.open()
                self._relays[name] = relay
            return relay

    async def stop(self, request: AppRef) -> AppInfo:
        """Ask the program to end, and kill it when it does not."""
        found = await self._found(request.container_id, request.owner)
        name = app_name(request.container_id)
        await self._disconnect(name)
        if found["State"]["Running"]:
            await self._engine.kill(name, "SIGTERM")
            try:
                async with asyncio.timeout(GRACE_S):
                    await self._engine.wait(name)
            except TimeoutError:
                await self._engine.kill(name, "SIGKILL")
                await self._engine.wait(name)
        return await self.show(request)

    async def remove(self, request: AppRef) -> None:
        """Kill and remove a container."""
        await self._found(request.container_id, request.owner)
        name = app_name(request.container_id)
        await self._disconnect(name)
        await self._engine.remove(name)
        self._locks.pop(name, None)

    @asynccontextmanager
    async def http(self, request: AppHttp) -> AsyncGenerator[WebAnswer]:
        """Ask the app inside."""
        await self._running(request.container_id, request.owner)
        try:
            body = base64.b64decode(request.request.body_b64, validate=True)
        except binascii.Error as failure:
            raise InvalidArgument("the body is not base64") from failure
        client = self._client(request.container_id)
        async with client.asked(request.port, request.request, body, request.timeout_s) as answer:
            yield answer

    def _client(self, container_id: str) -> AppHttpClient:
        name = app_name(container_id)
        if name not in self._clients:
            self._clients[name] = AppHttpClient(self._engine, name)
        return self._clients[name]

    async def _disconnect(self, name: str) -> None:
        relay = self._relays.pop(name, None)
        if relay is not None:
            await relay.close()
        client = self._clients.pop(name, None)
        if client is not None:
            await client.close()

    async def _running(self, container_id: str, owner: str) -> dict[str, Any]:
        found = await self._found(container_id, owner)
        if found["State"]["Status"] == "created":
            # Its start goes on, or its caller hung up, and it is about to be removed.
            raise SandboxDown(
                "the container has not started",
                hint="It may be starting: look again. One that does not start is removed with container_rm.",
            )
        if not found["State"]["Running"]:
            raise SandboxDown(
                f"the container has ended with exit code {found['State'].get('ExitCode')}",
                hint="See its logs, and start another.",
            )
        return found

    async def _found(self, container_id: str, owner: str) -> dict[str, Any]:
        """Return the engine's words about a container; NotFound for one that is not this owner's."""
        found = await self._engine.inspect(app_name(container_id))
        labels = {} if found is None else cast(dict[str, str], found["Config"].get("Labels") or {})
        wanted = {LABELS["owner"]: owner, LABELS["instance"]: self._instance}
        if (
            found is None
            or labels.get(LABELS["kind"]) not in KINDS
            or any(labels.get(key) != value for key, value in wanted.items())
        ):
            raise NotFound(f"there is no container {container_id}", hint="See container_list.")
        return found


def _volumes(image: dict[str, Any]) -> list[str]:
    """Return the places where the image wants volumes; raises InvalidArgument for those it may not have."""
    places = [place.rstrip("/") for place in field_of(image, "Volumes")]
    for place in places:
        inside = any(place == ours or place.startswith(ours + "/") for ours in OURS)
        if not _PLACE.fullmatch(place) or ".." in place.split("/") or inside:
            raise InvalidArgument(f"the image has a volume at {place[:80]!r}, which can't be")
    if len(places) > MAX_VOLUMES:
        raise InvalidArgument(f"the image has more than {MAX_VOLUMES} volumes")
    return places


def _info(container_id: str, found: dict[str, Any], listening: dict[int, bool]) -> AppInfo:
    config, state, host = found["Config"], found["State"], found["HostConfig"]
    labels = cast(dict[str, str], config["Labels"])
    ports = [int(port) for port in labels[LABELS["ports"]].split(",") if port]
    status = "running" if state["Running"] else "created" if state["Status"] == "created" else "exited"
    return AppInfo(
        container_id=container_id,
        kind=labels[LABELS["kind"]],
        image=labels[LABELS["image"]],
        digest=str(found["Image"]),
        status=status,
        exit_code=int(state["ExitCode"]) if status == "exited" else None,
        out_of_memory=bool(state.get("OOMKilled")),
        started_at=str(state.get("StartedAt", "")),
        command=[str(word) for word in config["Entrypoint"]],
        env_names=sorted(item.partition("=")[0] for item in cast(list[str], config.get("Env") or [])),
        ports=[AppPort(port=port, listening=listening.get(port, False)) for port in ports],
        memory_mb=int(host["Memory"]) // (1024 * 1024),
        cpus=int(host["NanoCpus"]) / 1_000_000_000,
    )


def _after(stamp: str) -> str:
    """Return the moment right after a time stamp, which has nanoseconds."""
    seconds, _, nanos = stamp.partition(".")
    whole = int(seconds) * 1_000_000_000 + int(nanos) + 1
    return f"{whole // 1_000_000_000}.{whole % 1_000_000_000:09d}"
