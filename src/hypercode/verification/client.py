"""Asks the verifier over its unix socket."""

import json
from typing import Any

import httpx2
from pydantic import BaseModel

from hypercode.domain.address import CONNECT_RETRIES, Address, base_url, unix_socket
from hypercode.domain.check import Check
from hypercode.domain.environment import Environment
from hypercode.domain.errors import HyperCodeError, Unavailable
from hypercode.platform_api.wire import rebuilt_error
from hypercode.telemetry.tracing import send_trace
from hypercode.verification.verifier import Freeze, FrozenChecks, Progress, Verified, Verify


class VerifierClient:
    """Both verbs of the verifier. Errors of ours come back as themselves; cancelling ``verify`` stops the work."""

    def __init__(self, address: Address, key: str) -> None:
        # No read limit: a check ends by its own timeout, or when the caller cancels.
        self._http = httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=unix_socket(address), retries=CONNECT_RETRIES),
            base_url=base_url(address, "verifier"),
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(30.0, read=None),
            event_hooks={"request": [send_trace]},
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def freeze(self, *, run_id: str, environment: Environment, checks: list[Check]) -> FrozenChecks:
        body = _json(Freeze(run_id=run_id, environment=environment, checks=checks))
        try:
            response = await self._http.post("/freeze", content=body)
        except httpx2.HTTPError as error:
            raise _gone(error) from error
        if response.status_code != 200:
            raise _refusal(response.content)
        return FrozenChecks.model_validate_json(response.content)

    async def verify(
        self, *, run_id: str, head_commit: str, head_tree: str, diff: str, progress: Progress
    ) -> Verified:
        body = _json(Verify(run_id=run_id, head_commit=head_commit, head_tree=head_tree, diff=diff))
        try:
            async with self._http.stream("POST", "/verify", content=body) as response:
                if response.status_code != 200:
                    raise _refusal(await response.aread())
                async for line in response.aiter_lines():
                    event: dict[str, Any] = json.loads(line)
                    match event.pop("type"):
                        case "progress":
                            await progress(event["phase"], event["message"])
                        case "result":
                            return Verified.model_validate(event)
                        case _:
                            raise rebuilt_error(event)
        except httpx2.HTTPError as error:
            raise _gone(error) from error
        raise Unavailable("The verifier broke off.", hint="See its log, then verify again.")


def _json(request: BaseModel) -> bytes:
    return request.model_dump_json().encode()


def _refusal(body: bytes) -> HyperCodeError:
    try:
        return rebuilt_error(json.loads(body))
    except (ValueError, AttributeError):
        return Unavailable("The verifier sent an answer that can't be read.")


def _gone(error: httpx2.HTTPError) -> Unavailable:
    return Unavailable(
        f"The verifier does not answer ({type(error).__name__}).", hint="See that it is running."
    )
