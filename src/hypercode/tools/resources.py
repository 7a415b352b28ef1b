"""resource_read and resource_list: what is too long for a result, by its address.

MCP's ``resources/read`` and ``resources/list`` are calls of these two, so that policy, limits and audit hold for
them as for every call, and an agent that knows only tools gets at the same.
"""

from pydantic import Field

from hypercode.domain.errors import NotFound
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.mcp_protocol.uris import ProcLog, parse_uri
from hypercode.sandbox.processes import ProcessesOf, ProcessRead
from hypercode.tools.processes import MAX_READ, output_words, read_output
from hypercode.tools.registry import Tool, ToolContext, ToolReply

LOG_TYPE = "text/plain"


class ResourceReadArguments(Arguments):
    """``uri`` as it stands in a result or in resource_list; ``?offset=`` says where to begin."""

    uri: str = Field(max_length=500)
    max_bytes: int = Field(default=65_536, ge=16, le=MAX_READ)


class ResourceText(Closed):
    """A part of a resource. ``dropped`` bytes before it are gone for good; ``size`` is the whole."""

    uri: str
    mime_type: str
    text: str
    offset: int
    next_offset: int
    dropped: int
    size: int
    truncated: bool


async def resource_read(context: ToolContext, args: ResourceReadArguments) -> ToolReply:
    """Read a part of a resource of this run."""
    named = parse_uri(args.uri)
    if named.run_id != context.grant.run_id:
        # Another run's address and one that never was look the same.
        raise NotFound("there is no such resource")
    request = ProcessRead(
        sandbox_id=context.sandbox, proc_id=named.proc_id, offset=named.offset, limit=args.max_bytes
    )
    try:
        part = await context.sandboxes.process_read(request)
    except NotFound as error:
        raise NotFound("there is no such resource", hint="The oldest logs are forgotten.") from error
    read = read_output(part, named.offset)
    result = ResourceText(
        uri=named.uri,
        mime_type=LOG_TYPE,
        text=read.data,
        offset=read.offset,
        next_offset=read.next_offset,
        dropped=read.dropped,
        size=read.size,
        truncated=read.truncated,
    )
    more = f"\n[more: {named.uri}?offset={read.next_offset}]" if read.truncated else ""
    return ToolReply(result, output_words(read) + more)


class ResourceListArguments(Arguments):
    """Nothing to say."""


class ListedResource(Closed):
    """One resource."""

    uri: str
    name: str
    mime_type: str
    size: int


class ListedResources(Closed):
    """The resources of this run, the oldest first."""

    resources: list[ListedResource]


async def resource_list(context: ToolContext, _: ResourceListArguments) -> ToolReply:
    """List what there is to read."""
    seen = await context.sandboxes.process_list(ProcessesOf(sandbox_id=context.sandbox))
    named = [(each.proc_id, f"output of {' '.join(each.argv)[:80]}", each.size) for each in seen.processes]
    named += [(each.proc_id, "full output of a command", each.size) for each in seen.logs]
    result = ListedResources(
        resources=[
            ListedResource(
                uri=ProcLog(context.grant.run_id, proc_id).uri, name=name, mime_type=LOG_TYPE, size=size
            )
            for proc_id, name, size in named
        ]
    )
    lines = [f"{each.uri} ({each.size} bytes): {each.name}" for each in result.resources]
    return ToolReply(result, "\n".join(lines) or "There are no resources.")


RESOURCE_TOOLS = (
    Tool(
        "resource_read",
        "Read the full output behind a resource_uri (hc://...), a part at a time: append ?offset=N for the next.",
        ResourceReadArguments,
        ResourceText,
        resource_read,
        read_only=True,
    ),
    Tool(
        "resource_list",
        "List the logs of this run's processes and of commands whose output was cut.",
        ResourceListArguments,
        ListedResources,
        resource_list,
        read_only=True,
    ),
)
"""The group's tools."""
