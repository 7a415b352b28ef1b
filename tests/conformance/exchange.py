"""What a fixture tool may use that the platform's tools do not: the call's MCP session, and questions to the client."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mcp import MCPError, types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from starlette.requests import Request

from hypercode.domain.errors import HyperCodeError

Context = ServerRequestContext[Any, Request]

_CURRENT: ContextVar["Exchange"] = ContextVar("exchange")


class InputRequired(HyperCodeError):
    """The tool has asked the client something; the client calls again with the answers."""

    code = "INPUT_REQUIRED"


@dataclass
class Exchange:
    """One tools/call: its context, the answers that came with it, and what is sent in place of a tool result."""

    context: Context
    answers: dict[str, Any] = field(default_factory=dict)
    state: str | None = None
    asked: types.InputRequiredResult | None = None
    refused: MCPError | None = None

    def declared(self, capability: str) -> bool:
        """Whether the client says that it can do this."""
        capabilities = self.context.session.client_capabilities
        return capabilities is not None and getattr(capabilities, capability) is not None

    def ask(self, requests: dict[str, types.InputRequest] | None, state: str | None = None) -> InputRequired:
        """Have the client asked; the tool raises what this returns, so that its call ends."""
        self.asked = types.InputRequiredResult(input_requests=requests, request_state=state)
        return InputRequired("the client is asked")

    def refuse(self, code: int, message: str, data: Any) -> InputRequired:
        """Have the request answered with a protocol error."""
        self.refused = MCPError(code, message, data)
        return InputRequired(message)


def current() -> Exchange:
    """The exchange of the call that is running."""
    return _CURRENT.get()


def wrap_calls(server: Server[dict[str, Any]]) -> None:
    """Put an exchange around the platform's own tools/call handler; the call itself is its, whole."""
    platform = server.get_request_handler("tools/call")
    assert platform is not None

    async def call(context: Context, params: types.CallToolRequestParams) -> Any:
        exchange = Exchange(context, dict(params.input_responses or {}), params.request_state)
        token = _CURRENT.set(exchange)
        try:
            # What the suite's tools ask is theirs to read; the platform knows only its own states and answers.
            own = params.model_copy(update={"request_state": None, "input_responses": None})
            result = await platform.handler(context, own)
        finally:
            _CURRENT.reset(token)
        if exchange.refused is not None:
            raise exchange.refused
        return exchange.asked or result

    server.add_request_handler("tools/call", types.CallToolRequestParams, call)
