"""sh_start and what follows it: processes in the run's sandbox that outlive the call, by their handles."""

import base64
import codecs
import signal as signals
from typing import Literal

from pydantic import Field, model_validator

from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import DEFAULT_CAP, cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.mcp_protocol.uris import ProcLog
from hypercode.sandbox.processes import (
    MAX_WAIT_MS,
    PROC_ID,
    ProcessesOf,
    ProcessKill,
    ProcessOutput,
    ProcessRead,
    ProcessStart,
    ProcessWrite,
    Ready,
)
from hypercode.tools.registry import Tool, ToolContext, ToolReply
from hypercode.tools.shell import CommandArguments, environment

MAX_READ = 100_000


class ReadyArguments(Closed):
    """When the process counts as ready: a line of its output matches, a TCP port is listened on, or both."""

    port: int | None = Field(default=None, ge=1, le=65535)
    regex: str | None = Field(default=None, min_length=1, max_length=1000)
    timeout_s: float = Field(default=30.0, gt=0, le=300)

    @model_validator(mode="after")
    def _something(self) -> "ReadyArguments":
        if self.port is None and self.regex is None:
            raise ValueError("give a port or a regex")
        return self


class StartArguments(CommandArguments):
    """Either ``argv``, run as it stands, or ``script``, run by ``sh -c``."""

    ready: ReadyArguments | None = None


class StartedProcess(Closed):
    """A started process. ``ready`` is null when nobody asked; false: time was over, or the process ended."""

    proc_id: str
    ready: bool | None
    running: bool
    exit_code: int | None
    signal: int | None
    resource_uri: str


async def sh_start(context: ToolContext, args: StartArguments) -> ToolReply:
    """Start a process and return its handle; it goes on until it ends or sh_kill ends it."""
    ready = Ready(**args.ready.model_dump()) if args.ready is not None else None
    env = await environment(context, args.env, args.secrets)
    request = ProcessStart(sandbox_id=context.sandbox, argv=args.words, cwd=args.cwd, env=env, ready=ready)
    began = await context.sandboxes.process_start(request)
    result = StartedProcess(**began.model_dump(), resource_uri=_log_uri(context, began.proc_id))
    state = _state(began.running, began.exit_code, began.signal)
    is_ready = {None: "", True: " It is ready.", False: " It is NOT ready."}[began.ready]
    return ToolReply(result, f"Process {began.proc_id}: {state}.{is_ready} sh_read shows its output.")


class HandleArguments(Arguments):
    """The handle that sh_start returned."""

    proc_id: str = Field(pattern=PROC_ID)


class ReadArguments(HandleArguments):
    """Output from ``offset`` on; waits up to ``wait_ms`` for output that is not there yet, or for the end."""

    offset: int = Field(default=0, ge=0)
    wait_ms: int = Field(default=0, ge=0, le=MAX_WAIT_MS)
    max_bytes: int = Field(default=DEFAULT_CAP, ge=16, le=MAX_READ)


class ReadOutput(Closed):
    """Output as text. ``dropped`` bytes before it are gone for good; ``size`` is all that was ever written."""

    data: str
    offset: int
    next_offset: int
    dropped: int
    size: int
    running: bool
    exit_code: int | None
    signal: int | None
    truncated: bool


async def sh_read(context: ToolContext, args: ReadArguments) -> ToolReply:
    """Read a process's output; the process goes on whatever becomes of the call."""
    request = ProcessRead(
        sandbox_id=context.sandbox,
        proc_id=args.proc_id,
        offset=args.offset,
        wait_ms=args.wait_ms,
        limit=args.max_bytes,
    )
    result = read_output(await context.sandboxes.process_read(request), args.offset)
    return ToolReply(result, output_words(result))


def read_output(part: ProcessOutput, asked: int) -> ReadOutput:
    """Turn bytes into text; a character that is only half there waits for the next read."""
    data = base64.b64decode(part.data_b64)
    last = not part.running and part.next_offset >= part.size
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data, final=last)
    next_offset = part.next_offset - len(decoder.getstate()[0])
    return ReadOutput(
        data=text,
        offset=part.offset,
        next_offset=next_offset,
        dropped=max(part.offset - asked, 0),
        size=part.size,
        running=part.running,
        exit_code=part.exit_code,
        signal=part.signal,
        truncated=next_offset < part.size,
    )


def output_words(result: ReadOutput, name: str | None = None) -> str:
    """Say output as a language model reads it: first what it is of and where it stands, then the text."""
    state = name or _state(result.running, result.exit_code, result.signal)
    head = f"[{state}; bytes {result.offset}-{result.next_offset} of {result.size}"
    if result.dropped:
        head += f"; {result.dropped} bytes before them were dropped"
    return f"{head}]\n{result.data}"


class WriteArguments(HandleArguments):
    """Text for the process's stdin; ``end`` closes stdin after it."""

    data: str = Field(default="", max_length=200_000)
    end: bool = False

    def touched(self) -> Touched:
        """How much is written."""
        return Touched(size=len(self.data.encode("utf-8", "replace")))


class Written(Closed):
    """How many bytes the process took; fewer than were given when it does not read."""

    written: int
    complete: bool


async def sh_write(context: ToolContext, args: WriteArguments) -> ToolReply:
    """Write to a process's stdin."""
    data = args.data.encode("utf-8", "replace")
    request = ProcessWrite(
        sandbox_id=context.sandbox,
        proc_id=args.proc_id,
        data_b64=base64.b64encode(data).decode(),
        end=args.end,
    )
    done = await context.sandboxes.process_write(request)
    result = Written(written=done.written, complete=done.written == len(data))
    return ToolReply(result, f"{done.written} of {len(data)} bytes written.")


class KillArguments(HandleArguments):
    """``signal`` first; what still runs after ``grace_s`` is killed, with everything that it started."""

    signal: Literal["TERM", "INT", "HUP", "QUIT", "KILL"] = "TERM"
    grace_s: float = Field(default=5.0, ge=0, le=60)


class Ended(Closed):
    """How the process ended."""

    running: bool
    exit_code: int | None
    signal: int | None


async def sh_kill(context: ToolContext, args: KillArguments) -> ToolReply:
    """End a process; nothing of its tree is left."""
    number = int(signals.Signals[f"SIG{args.signal}"])
    request = ProcessKill(
        sandbox_id=context.sandbox, proc_id=args.proc_id, signal=number, grace_s=args.grace_s
    )
    end = await context.sandboxes.process_kill(request)
    return ToolReply(Ended(**end.model_dump()), f"The process: {_state(**end.model_dump())}.")


class ListArguments(Arguments):
    """Nothing to say."""


class ListedProcess(Closed):
    """One process; ``size`` is how many bytes it has written."""

    proc_id: str
    command: str
    age_s: float
    size: int
    running: bool
    exit_code: int | None
    signal: int | None


class ListedProcesses(Closed):
    """The processes of this run, the oldest first; ended ones are forgotten after a while."""

    processes: list[ListedProcess]


async def sh_list(context: ToolContext, _: ListArguments) -> ToolReply:
    """List the processes that sh_start started."""
    seen = await context.sandboxes.process_list(ProcessesOf(sandbox_id=context.sandbox))
    result = ListedProcesses(
        processes=[
            ListedProcess(
                proc_id=each.proc_id,
                command=" ".join(each.argv)[:500],
                age_s=each.age_s,
                size=each.size,
                running=each.running,
                exit_code=each.exit_code,
                signal=each.signal,
            )
            for each in seen.processes
        ]
    )
    lines = [
        f"{each.proc_id} {_state(each.running, each.exit_code, each.signal)}, {each.age_s:.0f} s: {each.command}"
        for each in result.processes
    ]
    return ToolReply(result, cap_text("\n".join(lines) or "There are no processes.")[0])


def _state(running: bool, exit_code: int | None, signal: int | None) -> str:
    if running:
        return "running"
    return f"killed by signal {signal}" if exit_code is None else f"ended with exit code {exit_code}"


def _log_uri(context: ToolContext, proc_id: str) -> str:
    return ProcLog(context.grant.run_id, proc_id).uri


PROCESS_TOOLS = (
    Tool(
        "sh_start",
        "Start a long-running process (a server, a watcher) in the sandbox and return its handle at once, or when "
        "it is ready: a port is listened on, or a line of output matches. It goes on between calls.",
        StartArguments,
        StartedProcess,
        sh_start,
        read_only=False,
        destructive=True,
    ),
    Tool(
        "sh_read",
        "Read a process's output from an offset on; wait_ms waits for more output or the end.",
        ReadArguments,
        ReadOutput,
        sh_read,
        read_only=True,
    ),
    Tool(
        "sh_write",
        "Write to a process's stdin; end closes it.",
        WriteArguments,
        Written,
        sh_write,
        read_only=False,
        destructive=True,
    ),
    Tool(
        "sh_kill",
        "End a process with everything that it started: a signal first, after grace_s the hard way.",
        KillArguments,
        Ended,
        sh_kill,
        read_only=False,
        destructive=True,
        idempotent=True,
        repeatable=True,
    ),
    Tool(
        "sh_list",
        "List the processes that sh_start started, with their handles.",
        ListArguments,
        ListedProcesses,
        sh_list,
        read_only=True,
    ),
)
"""The group's tools."""
