"""A tools process behind each of its two kinds of door, spoken to in raw HTTP in each of the two revisions."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.tools.registry import Registry, Tool, ToolContext, ToolReply

MODERN, LEGACY = "2026-07-28", "2025-11-25"


class Said(Arguments):
    path: WorkspacePath = "."
    content: str = ""

    def touched(self) -> Touched:
        return Touched(paths=(self.path,))


class Heard(Closed):
    run_id: str
    content: str


async def _echo(context: ToolContext, args: Said) -> ToolReply:
    return ToolReply(Heard(run_id=context.grant.run_id, content=args.content), args.content)


def echoes() -> Registry:
    """Tools under the names of the platform's, so that the built-in rules hold for them; they say what they heard."""
    names = {"fs_read": True, "fs_write": False, "plan_submit": False}
    return Registry(
        [Tool(name, "Echo.", Said, Heard, _echo, read_only=read_only) for name, read_only in names.items()]
    )


@dataclass
class Answer:
    """A response: its status, and the JSON-RPC message or other JSON in it."""

    status: int
    headers: httpx2.Headers
    body: Any

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.body["result"])

    @property
    def code(self) -> str:
        """The code of a tool's answer."""
        result = self.result
        return str(result["structuredContent"]["code"]) if result.get("isError") else "OK"


@dataclass
class Door:
    """One way in: ``socket`` None means TCP."""

    revision: str
    url: str
    socket: Path | None
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def client(self, token: str | None = None) -> httpx2.AsyncClient:
        # No TLS anywhere here, and reading the certificates costs more than the calls.
        transport = httpx2.AsyncHTTPTransport(uds=str(self.socket) if self.socket else None, verify=False)
        bearer = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx2.AsyncClient(transport=transport, headers=bearer, timeout=60)

    def message(self, method: str, **params: Any) -> dict[str, Any]:
        """A JSON-RPC request of this revision."""
        meta = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        envelope = {"_meta": meta} if self.revision == MODERN else {}
        return {
            "jsonrpc": "2.0",
            "id": next(self.ids),
            "method": method,
            "params": {**envelope, **params},
        }

    def headers(self, message: dict[str, Any]) -> dict[str, str]:
        said = {
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "MCP-Protocol-Version": self.revision,
        }
        if self.revision == MODERN:
            said["Mcp-Method"] = message["method"]
            if "name" in message["params"]:
                said["Mcp-Name"] = message["params"]["name"]
        return said

    async def post(
        self, http: httpx2.AsyncClient, message: dict[str, Any], raw: str | None = None, **headers: str
    ) -> Answer:
        """Send a message with its headers, or ``raw`` in its place; ``headers`` win (``_`` for ``-``)."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        body = json.dumps(message) if raw is None else raw
        response = await http.post(self.url, content=body, headers={**self.headers(message), **changed})
        return Answer(response.status_code, response.headers, _body(response))

    async def call(self, http: httpx2.AsyncClient, tool: str, **arguments: Any) -> Answer:
        return await self.post(http, self.message("tools/call", name=tool, arguments=arguments))


def _body(response: httpx2.Response) -> Any:
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = [line[5:] for line in response.text.splitlines() if line.startswith("data:")]
        return json.loads(lines[-1])
    try:
        return response.json()
    except ValueError:
        return response.text
