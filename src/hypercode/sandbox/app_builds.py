"""Building an agent's image: each stage in a builder container of ours, its end committed as an image.

Not the engine's own builder: its RUN steps have the engine's capabilities and its network, and no limit of
processes. Ours have what ``profiles.builder_config`` says.
"""

import asyncio
import io
import json
import secrets
import tarfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from hypercode.domain.errors import Conflict, SandboxDown, TimedOut
from hypercode.sandbox.app_images import AppImages, settings_of
from hypercode.sandbox.apps import BuildImage, BuiltImage, ImageRef
from hypercode.sandbox.base import Profile, Progress, StartSandbox
from hypercode.sandbox.containers import Containers
from hypercode.sandbox.dockerfiles import ImageSettings, Recipe, Stage, parse, recipe, stages
from hypercode.sandbox.egress import Egress, EgressLink
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.indexes import package_sources, pip_options
from hypercode.sandbox.names import LABELS, image_tag, label, labels_of, workspace_volumes
from hypercode.sandbox.profiles import ContainerSpec, Mount, builder_config, python
from hypercode.sandbox.relay import text_of
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.sandbox.workspaces import ARGUMENT, PLATFORM
from hypercode.settings import SandboxSettings

CONTEXT = "/.hypercode/context"
STAGED = "/.hypercode/stage"
MAX_STAGED = 256 * 1024 * 1024
MAX_LOG = 16 * 1024


@dataclass
class _Build:
    """One build under way: what its stages left, and what they said."""

    request: BuildImage
    progress: Progress
    link: EgressLink
    extra_mounts: list[Mount]
    env: dict[str, str]
    labels: dict[str, str]
    number: str = field(default_factory=lambda: secrets.token_hex(12))
    done: list[tuple[Stage, ImageSettings]] = field(default_factory=list[tuple[Stage, ImageSettings]])
    between: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    log: str = ""

    def name(self, number: int) -> str:
        """The builder container of a stage."""
        return f"hypercode-build-{self.number}-{number}"

    def say(self, line: str) -> None:
        """Keep the end of what was said."""
        self.log = (self.log + line + "\n")[-MAX_LOG:]


class _StepFailed(Exception):
    """A step ended badly; the words name it."""


class AppBuilds:
    """Builds images from Dockerfiles in workspaces."""

    def __init__(
        self,
        engine: Engine,
        runtime: RuntimeVolumes,
        containers: Containers,
        egress: Egress,
        images: AppImages,
        settings: SandboxSettings,
    ) -> None:
        self._engine = engine
        self._runtime = runtime
        self._containers = containers
        self._egress = egress
        self._images = images
        self._settings = settings

    async def build(self, request: BuildImage, progress: Progress) -> BuiltImage:
        """Build an image; raises InvalidArgument for a Dockerfile that asks for what is not allowed."""
        await self._refuse_too_many(request.run_id)
        plan = stages(parse(await self._dockerfile(request)), request.build_args, request.target)
        try:
            async with asyncio.timeout(request.timeout_s), self._opened(request, progress) as build:
                try:
                    for stage in plan:
                        await self._stage(build, stage)
                except _StepFailed as failure:
                    return BuiltImage(
                        image_id="", digest="", size=0, failed=str(failure), notes=build.notes, log=build.log
                    )
                return await self._commit(build)
        except TimeoutError as failure:
            raise TimedOut(f"the build took longer than {request.timeout_s:g} s") from failure

    async def _refuse_too_many(self, run_id: str) -> None:
        there = await self._engine.images(label("kind", "image"), label("owner", run_id))
        if len(there) >= self._settings.images_per_run:
            raise Conflict(f"the run has built {len(there)} images, which is as many as it may")

    async def _dockerfile(self, request: BuildImage) -> str:
        start = StartSandbox(profile=Profile.HELPER, owner=PLATFORM, workspace_id=request.workspace_id)
        relay = await self._containers.relay((await self._containers.start(start)).sandbox_id)
        asked = {"path": request.dockerfile, "offset": 0, "limit": 128 * 1024}
        return text_of(await relay.call("read", asked, seconds=30.0), "data_b64")

    @asynccontextmanager
    async def _opened(self, request: BuildImage, progress: Progress) -> AsyncGenerator[_Build]:
        """Hold what the stages share, and remove their containers at the end."""
        mounts: list[Mount] = []
        env = {
            "HOME": "/tmp/home",
            "LANG": "C.UTF-8",
            "PIP_ROOT_USER_ACTION": "ignore",
            "PIP_NO_CACHE_DIR": "1",
        }
        way_out = nullcontext(EgressLink(mounts=[]))
        if self._settings.image_build_egress:
            sources = await asyncio.to_thread(lambda: package_sources(pip_options()))
            mounts, env = sources.mounts, {**env, **sources.env}
            way_out = self._egress.opened([*self._settings.allowed_hosts, *sources.hosts])
        labels = self._containers.labels("build", request.run_id, request.workspace_id)
        async with way_out as link:
            build = _Build(request, progress, link, mounts, env, labels)
            try:
                yield build
            finally:
                await asyncio.shield(self._clear(build))

    async def _clear(self, build: _Build) -> None:
        for number in range(len(build.done) + 1):
            await self._engine.remove(build.name(number))
        for image in reversed(build.between):
            # One that the result is built on stays with it, and goes with it.
            await self._engine.remove_unused_image(image)

    async def _stage(self, build: _Build, stage: Stage) -> None:
        """Run a stage to its end; its container stays for those after it."""
        number, earlier = len(build.done), [before.name for before, _ in build.done]
        image, settings = await self._base(build, stage, earlier)
        wanted = recipe(stage, settings, earlier)
        build.notes.extend(wanted.notes)
        name = build.name(number)
        await self._engine.create(name, await self._config(build, wanted, image, number))
        for step_number, step in enumerate(wanted.steps):
            if step["op"] == "copy" and step["source"] is not None:
                await self._bring(build, step, name, step_number)
        await self._engine.start(name)
        await self._follow(build, name)
        build.done.append((stage, wanted.settings))

    async def _base(self, build: _Build, stage: Stage, earlier: list[str]) -> tuple[str, ImageSettings]:
        if stage.base.lower() in earlier:
            number = earlier.index(stage.base.lower())
            stored = await self._engine.commit(build.name(number), {"Labels": build.labels})
            build.between.append(stored)
            return stored, build.done[number][1]
        request = build.request
        ref = ImageRef(name=stage.base, run_id=request.run_id, sandbox_id=request.sandbox_id)
        image = await self._images.found(ref)
        return str(image["Id"]), settings_of(image)

    async def _config(self, build: _Build, wanted: Recipe, image: str, number: int) -> dict[str, Any]:
        runtime = await self._runtime.ensure()
        work, _ = workspace_volumes(build.request.workspace_id)
        context = f"{CONTEXT}/{build.request.context}".removesuffix("/.")
        steps = [
            {**step, "root": context if step.get("source") is None else f"{STAGED}/{index}"}
            for index, step in enumerate(wanted.steps)
        ]
        asked = json.dumps({"steps": steps, "env": build.env})
        chunks = [asked[start : start + ARGUMENT] for start in range(0, len(asked), ARGUMENT)]
        spec = ContainerSpec(
            image=image,
            argv=python("runner/image_builder.py", *chunks),
            mounts=[*runtime.mounts, Mount(work, CONTEXT, True), *build.link.mounts, *build.extra_mounts],
            labels=build.labels,
        )
        return builder_config(spec, self._settings)

    async def _bring(self, build: _Build, step: dict[str, Any], name: str, number: int) -> None:
        """Bring what a step copies from an earlier stage into the new container, beneath its staging place."""
        for path in step["names"]:
            found = await self._engine.archive(build.name(step["source"]), "/" + path, MAX_STAGED)
            above = "/".join(part for part in path.split("/")[:-1] if part not in ("", "."))
            place = f"{STAGED}/{number}/{above}".rstrip("/")
            await self._engine.put(name, "/", _folders(place))
            await self._engine.put(name, place, found)

    async def _follow(self, build: _Build, name: str) -> None:
        last: dict[str, Any] = {}
        async for text in self._engine.follow(name):
            try:
                last = json.loads(text)
            except ValueError:
                continue
            if last.get("type") == "progress":
                build.say("=> " + str(last["message"]))
                await build.progress("build", str(last["message"]))
            elif last.get("type") == "log":
                build.say(str(last["line"]))
        if last.get("type") == "failed":
            raise _StepFailed(f"{last['step']}: {last['log']}")
        if last.get("type") != "done":
            words = (await self._engine.logs(name, stderr=True, tail="20"))[-1000:]
            raise SandboxDown(f"the builder ended without a word (out of memory?): {words}")

    async def _commit(self, build: _Build) -> BuiltImage:
        request, settings = build.request, build.done[-1][1]
        labels = labels_of(self._instance, "image", request.run_id, request.workspace_id)
        config = {
            "Env": [f"{name}={value}" for name, value in settings.env.items()],
            "Labels": {**labels, LABELS["program"]: json.dumps([settings.entrypoint, settings.command])},
            "User": "10001:10001",
            "WorkingDir": settings.workdir,
            "Entrypoint": [*settings.entrypoint, *settings.command] or ["false"],
            "Cmd": [],
        }
        tag = image_tag(request.image_id)
        digest = await self._engine.commit(build.name(len(build.done) - 1), config, tag)
        image = await self._engine.image(digest) or {}
        return BuiltImage(
            image_id=request.image_id,
            digest=digest,
            size=int(image.get("Size", 0)),
            failed=None,
            notes=build.notes,
            log=build.log,
        )

    @property
    def _instance(self) -> str:
        return self._containers.instance


def _folders(path: str) -> bytes:
    """Return an archive that makes the folders of a path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        parts = path.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            entry = tarfile.TarInfo("/".join(parts[:count]))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    return buffer.getvalue()
