"""The agent's hands: one MCP session to the tools process, over its unix socket, for a whole run."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx2
from mcp import Client, MCPError, types
from mcp.client.streamable_http import streamable_http_client

from hypercode.agents.intent import CpuReading, ToolOutcome
from hypercode.domain.address import Address, base_url, unix_socket
from hypercode.domain.errors import Unavailable
from hypercode.llm.base import ToolSpec
from hypercode.mcp_protocol.schemas import CPU, IDEMPOTENCY_KEY

READ_TIMEOUT_S = 1200.0
"""Longer than any tool's own limit; the server ends calls, not the client."""

Report = Callable[[str], Awaitable[None]]


class ToolSession:
    """Lists and calls the tools that a grant allows; cancelling a call stops it in the sandbox too."""

    def __init__(self, address: Address, token: str, *, mode: str = "auto") -> None:
        """``mode`` "auto" speaks the newest revision that the server does; "legacy" the one of 2025-11-25."""
        self._address = address
        self._token = token
        self._mode = mode
        self._stack = AsyncExitStack()
        self._client: Client | None = None

    async def __aenter__(self) -> "ToolSession":
        http = self._http()
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(http)
            try:
                self._client = await stack.enter_async_context(self._mcp(http))
            except (MCPError, httpx2.HTTPError) as error:
                raise _refused(error) from error
            except ExceptionGroup as group:
                if not _transport_alone(group):
                    raise
                raise _refused(group) from group
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client = None
        try:
            await self._stack.aclose()
        except ExceptionGroup as group:
            if not _transport_alone(group):
                raise
            raise _refused(group) from group

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.AsyncHTTPTransport(uds=unix_socket(self._address)),
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=httpx2.Timeout(30.0, read=READ_TIMEOUT_S),
        )

    def _mcp(self, http: httpx2.AsyncClient) -> Client:
        transport = streamable_http_client(base_url(self._address, "tools") + "/mcp/", http_client=http)
        return Client(transport, mode=self._mode)

    async def list_tools(self) -> list[ToolSpec]:
        """The tools of this grant, in the server's order."""
        try:
            listed = await self._connected().list_tools()
        except (MCPError, httpx2.HTTPError) as error:
            raise Unavailable(f"the tools can't be listed: {error}") from error
        return [
            ToolSpec(
                name=tool.name,
                description=tool.description or "",
                parameters=tool.input_schema,
                read_only=bool(tool.annotations and tool.annotations.read_only_hint),
            )
            for tool in listed.tools
        ]

    async def call(
        self, tool: str, arguments: dict[str, Any], *, key: str, on_progress: Report | None = None
    ) -> ToolOutcome:
        """Call a tool once for this key; every failure but a dead tools process is an outcome."""

        async def report(progress: float, total: float | None, message: str | None) -> None:
            del progress, total  # calls say in words how far they are
            if on_progress is not None and message:
                await on_progress(message)

        started = time.perf_counter()
        try:
            result = await self._connected().call_tool(
                tool,
                arguments,
                progress_callback=report if on_progress is not None else None,
                meta=cast(types.RequestParamsMeta, {IDEMPOTENCY_KEY: key}),
            )
        except (MCPError, httpx2.HTTPError) as error:
            raise Unavailable(f"the tools process broke off the call: {error}") from error
        return _outcome(result, (time.perf_counter() - started) * 1000)

    def _connected(self) -> Client:
        if self._client is None:
            raise Unavailable("the tool session is not open")
        return self._client


def _transport_alone(group: ExceptionGroup) -> bool:
    """Whether nothing but the transport went wrong; its task groups wrap that as deep as they nest."""
    return group.split((MCPError, httpx2.HTTPError))[1] is None


def _refused(error: Exception) -> Unavailable:
    return Unavailable(
        f"the tools process does not answer, or refused the grant ({type(error).__name__})",
        hint="See that the tools process is running and the run's grant has not expired.",
    )


def _outcome(result: types.CallToolResult, duration_ms: float) -> ToolOutcome:
    data = cast(dict[str, Any], result.structured_content or {})
    text = "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))
    code = str(data.get("code", "INTERNAL")) if result.is_error else "OK"
    cpu = (result.meta or {}).get(CPU)
    return ToolOutcome(
        ok=not result.is_error,
        code=code,
        text=text,
        data=data,
        duration_ms=duration_ms,
        cpu=CpuReading.model_validate(cpu) if cpu is not None else None,
    )
