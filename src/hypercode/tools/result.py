"""What a call came to, as the journal keeps it and MCP sends it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from mcp import types
from pydantic import TypeAdapter

from hypercode.domain.errors import HyperCodeError, TooLarge
from hypercode.mcp_protocol.caps import DEFAULT_CAP, HARD_CAP, cap_text, storable
from hypercode.mcp_protocol.codes import ToolError, tool_error
from hypercode.mcp_protocol.schemas import CPU, canonical_json
from hypercode.tools.redaction import Redactor
from hypercode.tools.registry import Part, ToolReply

_PART: TypeAdapter[Part] = TypeAdapter(Part)


@dataclass(frozen=True)
class CallResult:
    """Typed data (or a ToolError), text, and further content in the form that MCP sends.

    ``cpu`` is what the meter of the run's sandbox said after the call, for whoever keeps its budget.
    """

    ok: bool
    data: dict[str, Any]
    text: str
    parts: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    cpu: dict[str, Any] | None = None

    @property
    def code(self) -> str:
        """``OK``, or the error's code."""
        return "OK" if self.ok else str(self.data.get("code", "INTERNAL"))

    def redacted(self, redactor: Redactor) -> "CallResult":
        """The result without the values of secrets."""
        if not redactor.knows_any:
            return self
        return CallResult(
            self.ok, redactor.json(self.data), redactor.text(self.text), redactor.json(self.parts), self.cpu
        )

    def stored(self) -> dict[str, Any]:
        """The form that the journal keeps."""
        return asdict(self)

    def to_mcp(self) -> types.CallToolResult:
        """The form that MCP sends."""
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=self.text), *map(_PART.validate_python, self.parts)],
            structured_content=self.data,
            is_error=not self.ok,
            _meta=None if self.cpu is None else {CPU: self.cpu},
        )


def success(reply: ToolReply) -> CallResult:
    """Wrap what a tool function returned; raises TooLarge when what can't be cut is over the hard cap."""
    data = storable(reply.data.model_dump(mode="json"))
    parts = [storable(part.model_dump(mode="json", by_alias=True, exclude_none=True)) for part in reply.parts]
    if len(canonical_json(data)) > HARD_CAP or len(canonical_json(parts)) > HARD_CAP:
        raise TooLarge(
            "the call was made, but its result is over 256 KiB and was dropped",
            hint="Ask for less at a time.",
        )
    return CallResult(True, data, cap_text(storable(reply.text), HARD_CAP)[0], parts)


def failure(error: HyperCodeError) -> CallResult:
    """Wrap an error: code, message, hint and whether a retry makes sense; never a traceback."""
    said = tool_error(error)
    text = f"{said.code}: {said.message}" + (f"\n{said.hint}" if said.hint else "")
    return CallResult(
        False, storable(said.model_dump(exclude=_unsaid(said))), cap_text(storable(text), DEFAULT_CAP)[0]
    )


def _unsaid(said: ToolError) -> set[str]:
    """Which call or question a person is asked about stands only where one is."""
    return {name for name in ("approval_id", "question_id") if getattr(said, name) is None}
