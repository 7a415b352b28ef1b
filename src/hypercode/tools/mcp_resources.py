"""MCP's resource methods: each is a call of a tool, so that policy, limits and audit hold for it as well."""

from collections.abc import Callable
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext
from starlette.requests import Request

from hypercode.domain.grant import Grant
from hypercode.mcp_protocol.uris import PROC_LOG_TEMPLATE, REPORT_TEMPLATE
from hypercode.tools.dispatcher import CallRequest, Dispatcher
from hypercode.tools.resources import LOG_TYPE

INVALID_PARAMS = -32602
"""Also the code of a resource that is not there (revision 2026-07-28)."""
INTERNAL = -32603
NEXT_OFFSET = "dev.hypercode/nextOffset"
SIZE = "dev.hypercode/size"
_CALLERS_FAULT = frozenset({"NOT_FOUND", "INVALID_ARGUMENT", "POLICY_DENIED", "PATH_OUTSIDE"})

Context = ServerRequestContext[Any, Request]


async def _silent(_: str) -> None:
    """Reading a resource reports no progress."""


class ResourceMethods:
    """``resources/list``, ``resources/templates/list`` and ``resources/read`` for the grant of each request."""

    def __init__(self, dispatcher: Dispatcher, granted: Callable[[Context], Grant]) -> None:
        self._dispatcher = dispatcher
        self._granted = granted

    async def list(
        self, context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """The resources of the grant's run."""
        said = await self._called(context, "resource_list", {})
        return types.ListResourcesResult(
            resources=[types.Resource(**each) for each in said["resources"]], ttl_ms=0, cache_scope="private"
        )

    async def templates(
        self, _context: Context, _: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """The forms that addresses have."""
        log = types.ResourceTemplate(
            name="process-log",
            uri_template=PROC_LOG_TEMPLATE,
            description="The output of a process, or of a command whose output was cut.",
            mime_type=LOG_TYPE,
        )
        report = types.ResourceTemplate(
            name="test-report",
            uri_template=REPORT_TEMPLATE,
            description="A report file of the latest test_run.",
        )
        return types.ListResourceTemplatesResult(
            resource_templates=[log, report], ttl_ms=0, cache_scope="private"
        )

    async def read(
        self, context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """A part of a resource; where it goes on stands in its ``_meta``."""
        said = await self._called(context, "resource_read", {"uri": params.uri})
        meta = {NEXT_OFFSET: said["next_offset"], SIZE: said["size"]}
        text = types.TextResourceContents(
            uri=params.uri, mime_type=said["mime_type"], text=said["text"], _meta=meta
        )
        return types.ReadResourceResult(contents=[text], ttl_ms=0, cache_scope="private")

    async def _called(self, context: Context, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        request = CallRequest(tool, arguments, None, _silent)
        result = await self._dispatcher.call(self._granted(context), request)
        if not result.ok:
            code = INVALID_PARAMS if result.code in _CALLERS_FAULT else INTERNAL
            raise MCPError(code, str(result.data["message"]), {**result.data, **arguments})
        return result.data
