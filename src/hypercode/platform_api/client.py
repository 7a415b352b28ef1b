"""Asks the tools process for the platform's own work, over its unix socket."""

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel

from hypercode.domain.address import CONNECT_RETRIES, Address, base_url, unix_socket
from hypercode.domain.environment import Environment
from hypercode.domain.errors import HyperCodeError, Unavailable
from hypercode.domain.snapshot import Comparison, Snapshot
from hypercode.platform_api import snapshots
from hypercode.platform_api import types as api
from hypercode.platform_api.wire import rebuilt_error
from hypercode.telemetry.tracing import send_trace

Progress = Callable[[str, str], Awaitable[None]]
ReplyT = TypeVar("ReplyT", bound=BaseModel)


class PlatformClient:
    """One method a verb. Errors of ours come back as themselves; cancelling a call stops the work."""

    def __init__(self, address: Address, key: str) -> None:
        # No read limit: a verb ends by its own limits, or when the caller cancels it.
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=unix_socket(address), retries=CONNECT_RETRIES),
            base_url=base_url(address, "platform") + "/platform/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(30.0, read=None),
            event_hooks={"request": [send_trace]},
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def workspace_open(self, request: api.WorkspaceOpen) -> api.WorkspaceOpened:
        return await self._ask("workspace_open", request, api.WorkspaceOpened)

    async def workspace_close(self, request: api.WorkspaceClose) -> None:
        await self._post("workspace_close", request)

    async def sandbox_open(self, request: api.SandboxOpen) -> api.SandboxOpened:
        return await self._ask("sandbox_open", request, api.SandboxOpened)

    async def sandbox_close(self, request: api.SandboxClose) -> None:
        await self._post("sandbox_close", request)

    async def checks_detect(self, request: api.ChecksDetect) -> api.ChecksDetected:
        return await self._ask("checks_detect", request, api.ChecksDetected)

    async def diff_export(self, request: api.DiffExport) -> api.DiffExported:
        return await self._ask("diff_export", request, api.DiffExported)

    async def diff_apply(self, request: api.DiffApply) -> None:
        await self._post("diff_apply", request)

    async def text_redact(self, request: api.TextRedact) -> api.TextRedacted:
        return await self._ask("text_redact", request, api.TextRedacted)

    async def snapshot_take(self, request: snapshots.SnapshotTake) -> Snapshot:
        return await self._ask("snapshot_take", request, Snapshot)

    async def snapshot_restore(
        self, run_id: str, workspace_id: str, snapshot_id: str, *, key: str = ""
    ) -> snapshots.SnapshotRestored:
        request = snapshots.SnapshotRestore(
            run_id=run_id, workspace_id=workspace_id, snapshot_id=snapshot_id, key=key
        )
        return await self._ask("snapshot_restore", request, snapshots.SnapshotRestored)

    async def snapshot_compare(self, request: snapshots.SnapshotCompare) -> Comparison:
        return await self._ask("snapshot_compare", request, Comparison)

    async def snapshot_check(self, request: snapshots.SnapshotCheck) -> snapshots.SnapshotChecked:
        return await self._ask("snapshot_check", request, snapshots.SnapshotChecked)

    async def snapshots_prune(self, project_id: str) -> snapshots.SnapshotsPruned:
        request = snapshots.SnapshotsPrune(project_id=project_id)
        return await self._ask("snapshots_prune", request, snapshots.SnapshotsPruned)

    async def check_run(self, request: api.CheckRun) -> api.CheckRan:
        return await self._ask("check_run", request, api.CheckRan)

    async def environment_build(self, request: api.EnvironmentBuild, progress: Progress) -> Environment:
        try:
            async with self._http.stream(
                "POST", "environment_build", content=request.model_dump_json()
            ) as response:
                if response.status_code != 200:
                    raise _refusal(await response.aread())
                async for line in response.aiter_lines():
                    event: dict[str, Any] = json.loads(line)
                    match event.pop("type"):
                        case "progress":
                            await progress(event["phase"], event["message"])
                        case "result":
                            return Environment.model_validate(event)
                        case _:
                            raise rebuilt_error(event)
        except httpx2.HTTPError as error:
            raise _gone(error) from error
        raise Unavailable("the tools process broke off the build of the environment")

    async def _ask(self, verb: str, request: BaseModel, reply: type[ReplyT]) -> ReplyT:
        return reply.model_validate_json(await self._post(verb, request))

    async def _post(self, verb: str, request: BaseModel) -> bytes:
        try:
            response = await self._http.post(verb, content=request.model_dump_json())
        except httpx2.HTTPError as error:
            raise _gone(error) from error
        if response.status_code != 200:
            raise _refusal(response.content)
        return response.content


def _refusal(body: bytes) -> HyperCodeError:
    try:
        return rebuilt_error(json.loads(body))
    except (ValueError, AttributeError):
        return Unavailable("the tools process sent an answer that can't be read")


def _gone(error: httpx2.HTTPError) -> Unavailable:
    return Unavailable(
        f"the tools process does not answer ({type(error).__name__})", hint="See that it is running."
    )
