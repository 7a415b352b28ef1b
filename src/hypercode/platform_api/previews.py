"""What the gateway may ask of the tools process, with a key that opens nothing else: previews, ending them, diffs."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
from pydantic import BaseModel, ConfigDict, Field

from hypercode.domain.address import CONNECT_RETRIES, Address, base_url, unix_socket
from hypercode.domain.errors import HyperCodeError, Unavailable
from hypercode.domain.snapshot import Comparison
from hypercode.domain.web_exchange import WebAnswer, WebRequest, from_wire
from hypercode.platform_api.snapshots import SnapshotCompare
from hypercode.platform_api.wire import rebuilt_error
from hypercode.telemetry.tracing import send_trace


class PreviewAsk(BaseModel):
    """A request to whatever serves at a preview's address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preview_id: str = Field(pattern=r"^[0-9a-f]{32}$")
    request: WebRequest


class DeploymentStop(BaseModel):
    """End a deployment for a person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_id: str
    deployment_id: str


class PreviewClient:
    """One method a verb. Errors of ours come back as themselves."""

    def __init__(self, address: Address, key: str) -> None:
        # No read limit: an app may stream for as long as it likes, and stops when the caller goes away.
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(
                uds=unix_socket(address),
                retries=CONNECT_RETRIES,
                limits=httpx2.Limits(max_connections=256, max_keepalive_connections=32),
            ),
            base_url=base_url(address, "platform") + "/platform/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(30.0, read=None),
            event_hooks={"request": [send_trace]},
        )

    async def close(self) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def preview(self, request: PreviewAsk) -> AsyncGenerator[WebAnswer]:
        """Ask what serves; raises NotFound when nothing does, Unavailable when it does not answer."""
        try:
            async with self._http.stream("POST", "preview", content=request.model_dump_json()) as response:
                if response.status_code != 200:
                    raise _refusal(await response.aread())
                yield await from_wire(response.aiter_raw())
        except ValueError as error:
            raise Unavailable("the tools process sent an answer that can't be read") from error
        except httpx2.HTTPError as error:
            raise _gone(error) from error

    async def deployment_stop(self, request: DeploymentStop) -> None:
        await self._post("deployment_stop", request)

    async def snapshot_compare(self, request: SnapshotCompare) -> Comparison:
        return Comparison.model_validate_json(await self._post("snapshot_compare", request))

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
