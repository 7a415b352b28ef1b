"""AppClient: the verbs of sandboxd for a run's images and containers, wherever it listens."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from pydantic import BaseModel

from hypercode.domain.errors import SandboxDown
from hypercode.domain.web_exchange import WebAnswer, from_wire
from hypercode.sandbox import wire
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
from hypercode.sandbox.errors import GONE_HINT, error_from, gone, refusal

Ask = Callable[[str, BaseModel, Any], Awaitable[Any]]


class AppClient:
    """Implements ``Apps``. Errors come back as themselves; cancelling a call stops its work."""

    def __init__(self, http: httpx2.AsyncClient, ask: Ask) -> None:
        self._http = http
        self._ask = ask

    async def build(self, request: BuildImage, progress: Progress) -> BuiltImage:
        """Build an image; raises InvalidArgument for a Dockerfile that asks for what is not allowed."""
        try:
            async with self._http.stream("POST", "app_build", content=request.model_dump_json()) as response:
                if response.status_code != 200:
                    raise refusal(await response.aread())
                async for line in response.aiter_lines():
                    event: dict[str, Any] = json.loads(line)
                    kind = event.pop("type")
                    if kind == "progress":
                        await progress(str(event["phase"]), str(event["message"]))
                    elif kind == "result":
                        return BuiltImage.model_validate(event)
                    else:
                        raise error_from(event)
        except httpx2.HTTPError as failure:
            raise gone(failure) from failure
        raise SandboxDown("sandboxd broke off the build of the image", hint=GONE_HINT)

    async def run(self, request: RunApp) -> AppInfo:
        """Start a container; an id that runs already is returned as it is."""
        return await self._ask("app_run", request, AppInfo)

    async def show(self, request: AppRef) -> AppInfo:
        """Return what the owner may know of a container."""
        return await self._ask("app_show", request, AppInfo)

    async def owned(self, request: AppsOf) -> AppList:
        """Return the owner's containers."""
        return await self._ask("app_owned", request, AppList)

    async def logs(self, request: AppLogs) -> AppOutput:
        """Return a container's output."""
        return await self._ask("app_logs", request, AppOutput)

    async def exec(self, request: AppExec) -> ExecResult:
        """Run a command in a container; its process tree is dead when this returns or is cancelled."""
        return await self._ask("app_exec", request, ExecResult)

    async def stop(self, request: AppRef) -> AppInfo:
        """Ask the container's program to end, and kill it when it does not; its output stays."""
        return await self._ask("app_stop", request, AppInfo)

    async def remove(self, request: AppRef) -> None:
        """Kill and remove a container."""
        await self._ask("app_remove", request, wire.Nothing)

    @asynccontextmanager
    async def http(self, request: AppHttp) -> AsyncGenerator[WebAnswer]:
        """Ask the app inside; raises Unavailable when nothing answers on the port."""
        try:
            async with self._http.stream("POST", "app_http", content=request.model_dump_json()) as response:
                if response.status_code != 200:
                    raise refusal(await response.aread())
                yield await from_wire(response.aiter_raw())
        except ValueError as failure:
            raise SandboxDown("sandboxd sent an answer that can't be read") from failure
        except httpx2.HTTPError as failure:
            raise gone(failure) from failure
