"""What a tool is: a name, closed schemas, four annotations, and a function. The dispatcher does the rest."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mcp import types

from hypercode.domain.errors import SandboxDown
from hypercode.domain.grant import Grant
from hypercode.mcp_protocol.cursors import Cursors, Paged
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.sandbox.base import Sandboxes

Report = Callable[[str], Awaitable[None]]
"""Called with a message while a long call works."""

UseSecrets = Callable[[Sequence[str]], Awaitable[dict[str, str]]]
"""Gives the values of named secrets of the project; that the run has them is written down before."""


@dataclass(frozen=True)
class ToolContext:
    """What a tool function may use: the grant, the sandbox of the run, a way to say how far it is, and the call's name.

    ``call_id`` is the same when a call is repeated with its key; by it the call stands in the audit.
    """

    grant: Grant
    sandboxes: Sandboxes
    sandbox_id: str | None
    report: Report
    call_id: str
    use_secrets: UseSecrets
    cursors: Cursors

    def position(self, args: Paged) -> int:
        """How many entries of a list were given before; raises InvalidArgument for a cursor of another call."""
        return int(self.cursors.opened(self.grant.run_id, args) or 0)

    def next_cursor(self, args: Paged, position: int, *, more: bool) -> str | None:
        """The cursor to go on from ``position``, where there is more."""
        return self.cursors.sealed(self.grant.run_id, args, str(position)) if more else None

    @property
    def sandbox(self) -> str:
        """The id of the run's container; raises SandboxDown when none was opened."""
        if self.sandbox_id is None:
            raise SandboxDown(
                "the run has no sandbox yet", hint="The platform opens it before the agent starts; try again."
            )
        return self.sandbox_id


Part = types.ImageContent | types.AudioContent | types.EmbeddedResource | types.ResourceLink


@dataclass(frozen=True)
class ToolReply:
    """What a tool function returns: typed data for programs, text for language models.

    ``parts`` are what is neither, such as a picture or the link to a resource; they come after the text.
    """

    data: Closed
    text: str
    parts: tuple[Part, ...] = ()


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


@dataclass(frozen=True)
class Tool(Generic[ArgumentsT]):
    """A tool of one group. ``repeatable``: running it again after an unknown outcome does no harm.

    ``errors`` are the codes that this tool adds to those of every tool, for the reference.
    """

    name: str
    description: str
    arguments: type[ArgumentsT]
    result: type[Closed]
    run: Callable[[ToolContext, ArgumentsT], Awaitable[ToolReply]]
    read_only: bool
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False
    repeatable: bool = False
    errors: tuple[str, ...] = ()

    def definition(self) -> types.Tool:
        """The tool as ``tools/list`` shows it."""
        return types.Tool(
            name=self.name,
            description=self.description,
            input_schema=_schema(self.arguments),
            output_schema=_schema(self.result),
            annotations=types.ToolAnnotations(
                title=self.name,
                read_only_hint=self.read_only,
                destructive_hint=self.destructive,
                idempotent_hint=self.idempotent or self.read_only,
                open_world_hint=self.open_world,
            ),
        )


class Registry:
    """The tools of this process, in a stable order."""

    def __init__(self, tools: Iterable[Tool[Any]]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._definitions = {tool.name: tool.definition() for tool in self._tools.values()}
        self._with_headers = {
            name: definition.input_schema
            for name, definition in self._definitions.items()
            if any(
                "x-mcp-header" in field for field in definition.input_schema.get("properties", {}).values()
            )
        }

    def get(self, name: str) -> Tool[Any] | None:
        """The tool of this name, if there is one."""
        return self._tools.get(name)

    def __iter__(self) -> Iterator[Tool[Any]]:
        return iter(self._tools.values())

    def definition(self, name: str) -> types.Tool:
        """The tool's definition, made once."""
        return self._definitions[name]

    def header_schema(self, name: str) -> dict[str, Any] | None:
        """The input schema of a tool that also wants arguments in HTTP headers; None for the others."""
        return self._with_headers.get(name)


def _schema(model: type[Closed]) -> dict[str, Any]:
    schema = model.model_json_schema()
    schema.pop("description", None)
    return schema
