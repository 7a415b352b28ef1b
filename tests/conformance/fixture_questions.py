"""The suite's tools that ask the client in the 2026-07-28 way: the call ends, and comes again with the answers."""

import json
from collections.abc import Callable
from typing import Any

from mcp import types
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ServerEvent,
    ToolsListChanged,
)
from tests.conformance.exchange import Exchange, current
from tests.conformance.fixture_tools import Nothing, fixture, said

from hypercode.tools.registry import Tool, ToolContext, ToolReply


def form(message: str, **properties: str) -> types.InputRequest:
    """Ask a person for these fields."""
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(prompt: str, max_tokens: int = 100) -> types.InputRequest:
    """Ask the client's model."""
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=prompt))
    params = types.CreateMessageRequestParams(messages=[message], max_tokens=max_tokens)
    return types.CreateMessageRequest(params=params)


Requests = dict[str, types.InputRequest]


def asks(
    name: str, requests: Requests, done: Callable[[Exchange], str], state: str | None = None
) -> Tool[Any]:
    """A tool that asks until every answer is there, and, where it gave a state, until that has come back."""

    async def run(_: ToolContext, __: Nothing) -> ToolReply:
        exchange = current()
        missing = {key: request for key, request in requests.items() if key not in exchange.answers}
        if missing or exchange.state != state:
            raise exchange.ask(missing or requests, state)
        return said(done(exchange))

    return fixture(name, run)


def field(exchange: Exchange, key: str, name: str) -> str:
    """A field of a person's answer."""
    return str((getattr(exchange.answers[key], "content", None) or {}).get(name))


def _sampled(exchange: Exchange) -> str:
    return str(getattr(exchange.answers["capital_question"].content, "text", ""))


def _roots(exchange: Exchange) -> str:
    return json.dumps([str(root.uri) for root in exchange.answers["client_roots"].roots])


_NAME = form("What is your name?", name="string")
_CONFIRM = {"confirm": form("Please confirm", ok="boolean")}


async def _two_rounds(_: ToolContext, __: Nothing) -> ToolReply:
    exchange = current()
    if exchange.state is None:
        raise exchange.ask({"step1": form("Step 1: What is your name?", name="string")}, "asked for the name")
    if exchange.state == "asked for the name":
        name = field(exchange, "step1", "name")
        raise exchange.ask(
            {"step2": form("Step 2: What is your favorite color?", color="string")}, f"is {name}"
        )
    return said(f"{exchange.state}, likes {field(exchange, 'step2', 'color')}")


async def _only_what_the_client_can(_: ToolContext, __: Nothing) -> ToolReply:
    exchange = current()
    if exchange.answers:
        return said("Thank you.")
    possible: Requests = {"user_name": _NAME} if exchange.declared("elicitation") else {}
    if exchange.declared("sampling"):
        possible["greeting"] = sample("Generate a greeting", 50)
    raise exchange.ask(possible, None if possible else "nothing to ask")


async def _needs_sampling(_: ToolContext, __: Nothing) -> ToolReply:
    exchange = current()
    if not exchange.declared("sampling"):
        required = {"requiredCapabilities": {"sampling": {}}}
        raise exchange.refuse(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "sampling is needed", required)
    return said("The client can sample.")


def _announces(name: str, bus: InMemorySubscriptionBus, event: ServerEvent) -> Tool[Any]:
    async def run(_: ToolContext, __: Nothing) -> ToolReply:
        await bus.publish(event)
        return said("Announced.")

    return fixture(name, run)


def question_tools(bus: InMemorySubscriptionBus) -> list[Tool[Any]]:
    """All of them; changes are announced on ``bus``."""
    several: Requests = {
        "user_name": _NAME,
        "greeting": sample("Generate a greeting", 50),
        "client_roots": types.ListRootsRequest(),
    }
    name = "test_input_required_result_"
    return [
        asks(
            name + "elicitation", {"user_name": _NAME}, lambda e: f"Hello, {field(e, 'user_name', 'name')}!"
        ),
        asks(name + "sampling", {"capital_question": sample("What is the capital of France?")}, _sampled),
        asks(name + "list_roots", {"client_roots": types.ListRootsRequest()}, _roots),
        asks(name + "request_state", _CONFIRM, lambda _: "state-ok", "confirming"),
        asks(name + "tampered_state", _CONFIRM, lambda _: "state-ok", "confirming"),
        asks(name + "multiple_inputs", several, lambda _: "All there.", "several"),
        asks("test_streaming_elicitation", {"user_name": _NAME}, lambda _: "Done."),
        fixture(name + "multi_round", _two_rounds),
        fixture(name + "capabilities", _only_what_the_client_can),
        fixture("test_missing_capability", _needs_sampling),
        _announces("test_trigger_tool_change", bus, ToolsListChanged()),
        _announces("test_trigger_prompt_change", bus, PromptsListChanged()),
    ]
