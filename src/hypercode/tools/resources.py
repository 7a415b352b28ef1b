"""resource_read and resource_list: what is too long for a result, by its address.

MCP's ``resources/read`` and ``resources/list`` are calls of these two, so that policy, limits and audit hold for
them as for every call, and an agent that knows only tools gets at the same.
"""

import base64

from pydantic import Field

from hypercode.domain.errors import NotFound, SandboxDown
from hypercode.mcp_protocol.junit import REPORT_DIRECTORY
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.mcp_protocol.uris import ProcLog, ReportFile, parse_uri
from hypercode.sandbox.base import ExecRequest
from hypercode.sandbox.processes import ProcessesOf, ProcessOutput, ProcessRead
from hypercode.tools.processes import MAX_READ, output_words, read_output
from hypercode.tools.registry import Tool, ToolContext, ToolReply

LOG_TYPE = "text/plain"
# A regular file and nothing else: a pipe in its place would keep us waiting.
_PART = '[ -f "$1" ] && [ ! -L "$1" ] && wc -c < "$1" && tail -c "+$2" -- "$1" | head -c "$3" | base64'


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
    if isinstance(named, ProcLog):
        part = await _log(context, named, args.max_bytes)
    else:
        part = await _report(context, named, args.max_bytes)
    read = read_output(part, named.offset)
    result = ResourceText(
        uri=named.uri,
        mime_type=mime_type(named.uri),
        text=read.data,
        offset=read.offset,
        next_offset=read.next_offset,
        dropped=read.dropped,
        size=read.size,
        truncated=read.truncated,
    )
    more = f"\n[more: {named.uri}?offset={read.next_offset}]" if read.truncated else ""
    return ToolReply(result, output_words(read, None if isinstance(named, ProcLog) else named.name) + more)


async def _log(context: ToolContext, named: ProcLog, limit: int) -> ProcessOutput:
    request = ProcessRead(sandbox_id=context.sandbox, proc_id=named.proc_id, offset=named.offset, limit=limit)
    try:
        return await context.sandboxes.process_read(request)
    except NotFound as error:
        raise NotFound("there is no such resource", hint="The oldest logs are forgotten.") from error


async def _report(context: ToolContext, named: ReportFile, limit: int) -> ProcessOutput:
    """A file of the report directory: its size, and a part as base64, so that offsets are bytes."""
    path = f"{REPORT_DIRECTORY}/{named.name}"
    argv = ["sh", "-c", _PART, "sh", path, str(named.offset + 1), str(limit)]
    got = await context.sandboxes.exec(context.sandbox, ExecRequest(argv=argv, timeout_s=30))
    size, _, data = got.stdout.partition("\n")
    if got.exit_code != 0 or not size.strip().isdigit():
        raise NotFound("there is no such resource", hint="The next test_run removes a report.")
    try:
        count = len(base64.b64decode(data))
    except ValueError as error:
        raise SandboxDown("the sandbox sent something that is no reply") from error
    return ProcessOutput(
        data_b64=data,
        offset=named.offset,
        next_offset=named.offset + count,
        size=int(size.strip()[:15]),
        running=False,
        exit_code=0,
        signal=None,
    )


def mime_type(uri: str) -> str:
    """What kind of text an address stands for."""
    return {"xml": "application/xml", "json": "application/json"}.get(uri.rpartition(".")[2], LOG_TYPE)


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
    """List what there is to read; a run that has opened no container has nothing."""
    if context.sandbox_id is None:
        return _listed([])
    seen = await context.sandboxes.process_list(ProcessesOf(sandbox_id=context.sandbox))
    named = [(each.proc_id, f"output of {' '.join(each.argv)[:80]}", each.size) for each in seen.processes]
    named += [(each.proc_id, "full output of a command", each.size) for each in seen.logs]
    return _listed(
        [
            ListedResource(
                uri=ProcLog(context.grant.run_id, proc_id).uri, name=name, mime_type=LOG_TYPE, size=size
            )
            for proc_id, name, size in named
        ]
    )


def _listed(resources: list[ListedResource]) -> ToolReply:
    result = ListedResources(resources=resources)
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
