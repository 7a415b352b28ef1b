"""The suite's client command: the agents' own ToolSession, through every client scenario.

``python -m tests.conformance.client URL``; the suite names the scenario in the environment. Listing, calling, keys,
progress and errors are ToolSession's. Two things an agent never does are added here, from the SDK's own parts,
because the suite's sets demand them of every client: OAuth (an agent gets its grant from the platform) and answers
to questions (an agent declares no such capability).
"""

import json
import os
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
from mcp import Client, types
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import HyperCodeError

CALLBACK = "http://localhost:3000/callback"
ARGUMENTS: dict[str, dict[str, Any]] = {"add_numbers": {"a": 5, "b": 3}}


class Judged(ToolSession):
    """A tool session to the suite's server."""

    def __init__(self, url: str, auth: httpx2.Auth | None) -> None:
        super().__init__(url, "")
        self._url, self._auth = url, auth

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(auth=self._auth, timeout=httpx2.Timeout(30.0))

    def _mcp(self, http: httpx2.AsyncClient) -> Client:
        transport = streamable_http_client(self._url, http_client=http)
        return Client(transport, mode=_mode(), elicitation_callback=_accept)


def _mode() -> Any:
    """The revision of the set: the suite's servers speak one, and its own checks forbid a probe for the other."""
    wanted = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", "")
    return "legacy" if wanted and wanted < "2026" else "auto"


async def _accept(_: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
    """Say yes, with the defaults of the form."""
    schema = getattr(params, "requested_schema", {})
    fields = schema.get("properties", {}).items()
    content = {name: field["default"] for name, field in fields if "default" in field}
    missing = {name: True for name, field in fields if field.get("type") == "boolean" and name not in content}
    return types.ElicitResult(action="accept", content={**missing, **content})


class Memory:
    """Tokens for the length of a scenario."""

    def __init__(self, client: OAuthClientInformationFull | None) -> None:
        self._client, self._tokens = client, None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


class Consent:
    """The person at the browser: follows the authorization URL and hands its code back."""

    def __init__(self) -> None:
        self._answer: dict[str, list[str]] = {}

    async def redirect(self, url: str) -> None:
        async with httpx2.AsyncClient() as browser:
            answer = await browser.get(url, follow_redirects=False)
        self._answer = parse_qs(urlsplit(answer.headers["location"]).query)

    async def callback(self) -> AuthorizationCodeResult:
        given = {name: values[0] for name, values in self._answer.items()}
        return AuthorizationCodeResult(code=given["code"], state=given.get("state"), iss=given.get("iss"))


def oauth(url: str, context: dict[str, Any]) -> OAuthClientProvider:
    """The SDK's OAuth client, with the registration that the scenario hands out, if any."""
    consent, known = Consent(), None
    if context.get("client_id"):
        known = OAuthClientInformationFull(
            client_id=context["client_id"],
            client_secret=context.get("client_secret"),
            redirect_uris=[AnyUrl(CALLBACK)],
            token_endpoint_auth_method="client_secret_basic" if context.get("client_secret") else "none",
        )
    metadata = OAuthClientMetadata(
        client_name="hypercode-conformance",
        redirect_uris=[AnyUrl(CALLBACK)],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
    )
    return OAuthClientProvider(
        server_url=url,
        client_metadata=metadata,
        storage=Memory(known),
        redirect_handler=consent.redirect,
        callback_handler=consent.callback,
        client_metadata_url="https://conformance-test.local/client-metadata.json",
    )


async def judged(url: str, scenario: str, context: dict[str, Any]) -> None:
    """List the server's tools and call what the scenario names, or else each of them."""
    auth = oauth(url, context) if scenario.startswith("auth/") else None
    async with Judged(url, auth) as tools:
        listed = [spec.name for spec in await tools.list_tools()]
        calls = context.get("toolCalls") or [{"name": name} for name in listed]
        for index, call in enumerate(calls):
            arguments = call.get("arguments", ARGUMENTS.get(call["name"], {}))
            try:
                await tools.call(call["name"], arguments, key=f"call-{index}")
            except HyperCodeError as error:
                print(f"{call['name']}: {error}", file=sys.stderr)


def main() -> None:
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    anyio.run(judged, sys.argv[-1], os.environ["MCP_CONFORMANCE_SCENARIO"], context)


if __name__ == "__main__":
    main()
