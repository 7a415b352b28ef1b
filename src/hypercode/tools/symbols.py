"""code_symbols: the functions, classes and types of source files, found by tree-sitter in a process of its own."""

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Literal

import anyio
from anyio.abc import ByteSendStream, Process
from pydantic import Field, model_validator

from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.cursors import Paged
from hypercode.mcp_protocol.schemas import Closed, WorkspacePath
from hypercode.sandbox.files import GlobRequest, SearchRequest, StatRequest
from hypercode.tools.registry import Tool, ToolContext, ToolReply

MAX_FILES = 300
MAX_FILE = 1024 * 1024
MAX_TOTAL = 16 * 1024 * 1024
MAX_ANSWER = 32 * 1024 * 1024
SECONDS = 20.0
RESTARTS = 3
WORKER = (sys.executable, "-I", "-m", "hypercode.tools.symbol_worker")

LANGUAGES = {
    extension: language
    for language, extensions in {
        "python": "py pyi",
        "javascript": "js mjs cjs jsx",
        "typescript": "ts mts cts",
        "tsx": "tsx",
        "go": "go",
        "rust": "rs",
        "java": "java",
        "c": "c h",
        "cpp": "cc cpp cxx hpp hh hxx",
        "ruby": "rb",
    }.items()
    for extension in extensions.split()
}

Kind = Literal[
    "class", "function", "method", "interface", "struct", "enum", "type", "module", "constant", "macro"
]


class SymbolArguments(Paged):
    """Where to look, what name to look for, or both."""

    path: WorkspacePath | None = Field(
        default=None, description="A file or a directory; by default everywhere."
    )
    query: str | None = Field(
        default=None, min_length=1, max_length=200, description="A part of the name; case does not matter."
    )
    kind: Kind | None = None
    limit: int = Field(default=200, ge=1, le=1000)

    @model_validator(mode="after")
    def _asks_something(self) -> "SymbolArguments":
        if self.path is None and self.query is None:
            raise ValueError("give a path, a query, or both")
        return self

    def wants(self, name: str, kind: str) -> bool:
        """Whether a symbol is one that was asked for."""
        return (self.query is None or self.query.casefold() in name.casefold()) and self.kind in (None, kind)


class Symbol(Closed):
    """A declaration; ``container`` is the class, type or function that it stands in."""

    name: str
    kind: Kind
    path: str
    line: int
    end: int
    signature: str
    container: str | None


class Skipped(Closed):
    """A file that was not looked at, and why."""

    path: str
    reason: str


class Symbols(Closed):
    """Declarations by path and line."""

    symbols: list[Symbol]
    skipped: list[Skipped]
    truncated: bool
    next_cursor: str | None


@dataclass(frozen=True)
class _Source:
    path: str
    language: str
    data_b64: str


async def code_symbols(context: ToolContext, args: SymbolArguments) -> ToolReply:
    """Find declarations."""
    skip = context.position(args)
    paths, left_out = await _paths(context, args)
    sources, skipped = await _sources(context, paths)
    answers, broken = await parse(sources)
    found = [
        Symbol(path=source.path, **each)
        for source, answer in zip(sources, answers, strict=True)
        for each in answer
        if args.wants(each["name"], each["kind"])
    ]
    shown = found[skip : skip + args.limit]
    more = len(found) > skip + len(shown)
    skipped += [Skipped(path=path, reason=reason) for path, reason in broken]
    result = Symbols(
        symbols=shown,
        skipped=skipped[:100],
        truncated=more or left_out,
        next_cursor=context.next_cursor(args, skip + len(shown), more=more),
    )
    lines = [f"{each.path}:{each.line}-{each.end} {each.kind} {each.signature}" for each in shown] or [
        "No symbol."
    ]
    lines += ["[there are more symbols]"] if more else []
    lines += [f"[only the first {MAX_FILES} files were looked at: narrow the path]"] if left_out else []
    lines += [f"[not looked at: {each.path}: {each.reason}]" for each in result.skipped]
    return ToolReply(result, cap_text("\n".join(lines))[0])


async def _paths(context: ToolContext, args: SymbolArguments) -> tuple[list[str], bool]:
    """Return the source files to look at, and whether some were left out."""
    where = args.path or "."
    if where != ".":
        (facts,) = (
            await context.sandboxes.stat(StatRequest(sandbox_id=context.sandbox, paths=[where]))
        ).entries
        if facts.kind == "missing":
            raise NotFound(f"there is nothing at {where}")
        if facts.kind != "dir":
            if _language(where) is None:
                raise InvalidArgument(f"{where} is in none of the languages: {', '.join(sorted(LANGUAGES))}")
            return [where], False
    below = "" if where == "." else where + "/"
    if args.query is None:
        pattern = GlobRequest(sandbox_id=context.sandbox, pattern=below + "**/*.*", limit=20_000)
        listed = await context.sandboxes.glob(pattern)
        names = [entry.path for entry in listed.entries if entry.kind == "file"]
        cut = listed.truncated
    else:
        search = SearchRequest(
            sandbox_id=context.sandbox,
            pattern=args.query,
            case=False,
            globs=[f"{below}*.{extension}" for extension in LANGUAGES],
            limit=20_000,
        )
        hits = await context.sandboxes.search(search)
        names = list(dict.fromkeys(hit.path for hit in hits.matches))
        cut = hits.truncated
    names = [name for name in names if _language(name) is not None]
    return names[:MAX_FILES], cut or len(names) > MAX_FILES


def _language(path: str) -> str | None:
    return LANGUAGES.get(path.rpartition("/")[2].rpartition(".")[2])


async def _sources(context: ToolContext, paths: list[str]) -> tuple[list[_Source], list[Skipped]]:
    sources: list[_Source] = []
    skipped: list[Skipped] = []
    room = MAX_TOTAL
    for path in paths:
        try:
            got = await context.sandboxes.read(context.sandbox, path, 0, MAX_FILE)
        except (NotFound, InvalidArgument) as error:
            skipped.append(Skipped(path=path, reason=error.message[:200]))
            continue
        room -= got.size
        if got.size > MAX_FILE or room < 0:
            skipped.append(Skipped(path=path, reason="it is too large"))
            continue
        sources.append(_Source(path, str(_language(path)), got.data_b64))
    return sources, skipped


async def parse(sources: list[_Source]) -> tuple[list[list[dict[str, Any]]], list[tuple[str, str]]]:
    """Return each source's symbols, and the (path, reason) of those that had none because the parser broke.

    A worker that dies takes one file with it; the rest goes to the next worker, a few times.
    """
    answers: list[list[dict[str, Any]]] = []
    broken: list[tuple[str, str]] = []
    for _ in range(RESTARTS + 1):
        left = sources[len(answers) :]
        if not left:
            break
        replies, ended = await _ask(left)
        for source, reply in zip(left, replies, strict=False):
            answers.append(reply.get("symbols", []))
            if "error" in reply:
                broken.append((source.path, f"it can't be parsed ({reply['error']})"))
        if len(replies) < len(left):
            broken.append((left[len(replies)].path, ended))
            answers.append([])
    broken += [(source.path, "the parser broke too often") for source in sources[len(answers) :]]
    answers += [[] for _ in sources[len(answers) :]]
    return answers, broken


async def _ask(sources: list[_Source]) -> tuple[list[dict[str, Any]], str]:
    """Ask one worker; return the answers that it gave, and why there are no more."""
    request = "".join(
        json.dumps({"language": source.language, "data_b64": source.data_b64}) + "\n" for source in sources
    )
    output = bytearray()
    ended = "the parser broke"
    # Nothing of this process's environment is for a parser.
    process = await anyio.open_process(WORKER, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, env={})
    async with process:
        try:
            with anyio.move_on_after(SECONDS) as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(_feed, process.stdin, request.encode())
                    await _collect(process, output)
                    group.cancel_scope.cancel()
            if scope.cancelled_caught:
                ended = f"the parser took longer than {SECONDS:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    # A last line without its end was cut short.
    lines = bytes(output).split(b"\n")[:-1]
    return [json.loads(line) for line in lines[: len(sources)]], ended


async def _feed(stdin: ByteSendStream | None, data: bytes) -> None:
    assert stdin is not None
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await stdin.send(data)
        await stdin.aclose()


async def _collect(process: Process, output: bytearray) -> None:
    assert process.stdout is not None
    async for part in process.stdout:
        output += part
        if len(output) > MAX_ANSWER:
            return


SYMBOL_TOOLS = (
    Tool(
        "code_symbols",
        "Find functions, classes and types by name, or list those of a file or directory. Python, JavaScript,"
        " TypeScript, Go, Rust, Java, C, C++, Ruby.",
        SymbolArguments,
        Symbols,
        code_symbols,
        read_only=True,
        repeatable=True,
        errors=("NOT_FOUND", "PATH_OUTSIDE"),
    ),
)
"""The group's tools."""
