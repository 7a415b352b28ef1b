"""The verbs for what a run has beside its sandbox, on a Docker engine, each handed to the file that knows it."""

from contextlib import AbstractAsyncContextManager

from hypercode.domain.web_exchange import WebAnswer
from hypercode.sandbox.app_builds import AppBuilds
from hypercode.sandbox.app_containers import AppContainers
from hypercode.sandbox.app_images import AppImages
from hypercode.sandbox.apps import (
    AppExec,
    AppHttp,
    AppInfo,
    AppList,
    AppLogs,
    AppOutput,
    AppRef,
    AppsOf,
    BuildImage,
    BuiltImage,
    RunApp,
)
from hypercode.sandbox.base import ExecResult, Progress
from hypercode.sandbox.containers import Containers
from hypercode.sandbox.egress import Egress
from hypercode.sandbox.engine import Engine
from hypercode.sandbox.runtime import RuntimeVolumes
from hypercode.settings import SandboxSettings


class DockerApps:
    """Implements ``Apps`` on a Docker engine."""

    def __init__(
        self,
        engine: Engine,
        runtime: RuntimeVolumes,
        containers: Containers,
        egress: Egress,
        settings: SandboxSettings,
    ) -> None:
        images = AppImages(engine, settings)
        self._builds = AppBuilds(engine, runtime, containers, egress, images, settings)
        self._containers = AppContainers(engine, runtime, images, settings, containers.instance)

    async def close(self) -> None:
        """Close the connections; containers go on."""
        await self._containers.close()

    async def forget_gone(self) -> None:
        """Close the connections to containers that went with their workspace."""
        await self._containers.forget_gone()

    async def build(self, request: BuildImage, progress: Progress) -> BuiltImage:
        """Build an image; raises InvalidArgument for a Dockerfile that asks for what is not allowed."""
        return await self._builds.build(request, progress)

    async def run(self, request: RunApp) -> AppInfo:
        """Start a container; an id that is there already is returned as it is."""
        return await self._containers.run(request)

    async def show(self, request: AppRef) -> AppInfo:
        """Return what the owner may know of a container."""
        return await self._containers.show(request)

    async def owned(self, request: AppsOf) -> AppList:
        """Return the owner's containers."""
        return await self._containers.owned(request)

    async def logs(self, request: AppLogs) -> AppOutput:
        """Return a container's output."""
        return await self._containers.logs(request)

    async def exec(self, request: AppExec) -> ExecResult:
        """Run a command in a container; its process tree is dead when this returns or is cancelled."""
        return await self._containers.exec(request)

    async def stop(self, request: AppRef) -> AppInfo:
        """Ask the container's program to end, and kill it when it does not; its output stays."""
        return await self._containers.stop(request)

    async def remove(self, request: AppRef) -> None:
        """Kill and remove a container."""
        await self._containers.remove(request)

    def http(self, request: AppHttp) -> AbstractAsyncContextManager[WebAnswer]:
        """Ask the app inside; raises Unavailable when nothing answers on the port."""
        return self._containers.http(request)
