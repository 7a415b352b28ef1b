"""The suite's plain fixture tools: what a result may hold, headers, schemas, logging, progress, legacy questions."""

import base64
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

from mcp import types
from mcp.shared.message import ServerMessageMetadata
from pydantic import Field
from tests.conformance.exchange import current

from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.tools.registry import Part, Tool, ToolContext, ToolReply


class Nothing(Arguments):
    pass


class Said(Closed):
    text: str


def _png() -> str:
    """One red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def _wav() -> str:
    """Eight silent samples."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", 8) + b"\x80" * 8
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(body)) + body).decode()


PNG = _png()
IMAGE = types.ImageContent(type="image", data=PNG, mime_type="image/png")
AUDIO = types.AudioContent(type="audio", data=_wav(), mime_type="audio/wav")


def embedded(uri: str, text: str, mime_type: str = "text/plain") -> types.EmbeddedResource:
    contents = types.TextResourceContents(uri=uri, mime_type=mime_type, text=text)
    return types.EmbeddedResource(type="resource", resource=contents)


Run = Callable[[ToolContext, Any], Awaitable[ToolReply]]


def fixture(name: str, run: Run, arguments: type[Arguments] = Nothing) -> Tool[Any]:
    return Tool(name, f"Fixture {name}.", arguments, Said, run, read_only=True)


def said(text: str, *parts: Part) -> ToolReply:
    return ToolReply(Said(text=text), text, parts)


def says(name: str, text: str, *parts: Part) -> Tool[Any]:
    async def run(_: ToolContext, __: Nothing) -> ToolReply:
        return said(text, *parts)

    return fixture(name, run)


async def _fails(_: ToolContext, __: Nothing) -> ToolReply:
    raise InvalidArgument("This tool intentionally returns an error for testing")


async def _logs(_: ToolContext, __: Nothing) -> ToolReply:
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await log(message)
    return said("Logged.")


async def log(message: str) -> None:
    """A log message on the call's own stream; in 2026-07-28 only where the request asks for them."""
    context = current().context
    if context.protocol_version >= "2026" and not (context.meta or {}).get(
        "io.modelcontextprotocol/logLevel"
    ):
        return
    params = types.LoggingMessageNotificationParams(level="info", data=message)
    notification = types.LoggingMessageNotification(params=params)
    await context.session.send_notification(notification, related_request_id=context.request_id)


async def _progresses(context: ToolContext, _: Nothing) -> ToolReply:
    for step in range(3):
        await context.report(f"step {step + 1} of 3")
    return said("Done.")


class Prompt(Arguments):
    prompt: str


class Message(Arguments):
    message: str


async def _samples(_: ToolContext, args: Prompt) -> ToolReply:
    context = current().context
    message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text=args.prompt))
    request = types.CreateMessageRequest(
        params=types.CreateMessageRequestParams(messages=[message], max_tokens=100)
    )
    answer = await _asked(context, request, types.CreateMessageResult)
    return said(f"LLM response: {getattr(answer.content, 'text', '')}")


async def _asked(context: Any, request: Any, result: type[Any]) -> Any:
    metadata = ServerMessageMetadata(related_request_id=context.request_id)
    return await context.session.send_request(request, result, metadata=metadata)


def elicits(name: str, properties: dict[str, Any], arguments: type[Arguments] = Nothing) -> Tool[Any]:
    """A tool of the session era: it asks while its call is open."""

    async def run(_: ToolContext, args: Any) -> ToolReply:
        context = current().context
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        answer = await context.session.elicit_form(
            getattr(args, "message", "Please answer"), schema, context.request_id
        )
        return said(f"User response: action={answer.action}, content={json.dumps(answer.content)}")

    return fixture(name, run, arguments)


DEFAULTS: dict[str, Any] = {
    "name": {"type": "string", "default": "John Doe"},
    "age": {"type": "integer", "default": 30},
    "score": {"type": "number", "default": 95.5},
    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
    "verified": {"type": "boolean", "default": True},
}
_TITLED = [{"const": f"value{n}", "title": f"Choice {n}"} for n in (1, 2, 3)]
_PLAIN = ["option1", "option2", "option3"]
ENUMS: dict[str, Any] = {
    "untitledSingle": {"type": "string", "enum": _PLAIN},
    "titledSingle": {"type": "string", "oneOf": _TITLED},
    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _PLAIN}},
    "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
}


class InHeader(Arguments):
    region: str = Field(json_schema_extra={"x-mcp-header": "Region"})


async def _headed(_: ToolContext, args: InHeader) -> ToolReply:
    return said(args.region)


_RICH_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


class Rich(Arguments):
    name: str = ""

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
        """Word for word what the suite wants to get back."""
        return dict(_RICH_SCHEMA)


async def _named(_: ToolContext, args: Rich) -> ToolReply:
    return said(args.name)


PLAIN_TOOLS: list[Tool[Any]] = [
    says("test_simple_text", "This is a simple text response for testing."),
    says("test_image_content", "", IMAGE),
    says("test_audio_content", "", AUDIO),
    says("test_embedded_resource", "", embedded("test://embedded-resource", "Embedded.")),
    says(
        "test_multiple_content_types",
        "Multiple content types test:",
        IMAGE,
        embedded("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ),
    fixture("test_error_handling", _fails),
    fixture("test_tool_with_logging", _logs),
    fixture("test_logging_tool", _logs),
    fixture("test_tool_with_progress", _progresses),
    fixture("test_sampling", _samples, Prompt),
    elicits("test_elicitation", {"username": {"type": "string"}, "email": {"type": "string"}}, Message),
    elicits("test_elicitation_sep1034_defaults", DEFAULTS),
    elicits("test_elicitation_sep1330_enums", ENUMS),
    fixture("test_x_mcp_header", _headed, InHeader),
    fixture("json_schema_2020_12_tool", _named, Rich),
]
