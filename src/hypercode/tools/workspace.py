"""fs_read, fs_write, fs_edit: single files of the run's workspace, through sandboxd's confined file access."""

import base64
import difflib
from typing import Literal

from pydantic import Field

from hypercode.domain.errors import Conflict, InvalidArgument, TooLarge
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import DEFAULT_CAP, HARD_CAP, cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.base import WriteRequest
from hypercode.tools.registry import Tool, ToolContext, ToolReply

MAX_FILE = 4 * 1024 * 1024
"""Bytes of a file that are looked at; larger files are read in part and not edited."""


class ReadArguments(Arguments):
    """Which lines of which file."""

    path: WorkspacePath
    start_line: int = Field(default=1, ge=1)
    max_lines: int = Field(default=400, ge=1, le=10_000)
    max_bytes: int = Field(default=65_536, ge=1, le=HARD_CAP // 2)
    encoding: Literal["utf-8", "base64"] = "utf-8"


class FileRead(Closed):
    """A part of a file; ``total_lines`` is None when the file was too large to count."""

    path: str
    content: str
    start_line: int
    end_line: int
    total_lines: int | None
    size: int
    sha256: str
    truncated: bool


async def fs_read(context: ToolContext, args: ReadArguments) -> ToolReply:
    """Read lines of a text file, or base64 of any file."""
    got = await context.sandboxes.read(context.sandbox, args.path, 0, MAX_FILE)
    data = base64.b64decode(got.data_b64)
    if args.encoding == "base64":
        part = base64.b64encode(data[: args.max_bytes]).decode()
        lines, total, cut = (1, 1), None, got.size > args.max_bytes
    else:
        part, lines, total, cut = _lines(data, got.size, args)
    result = FileRead(
        path=args.path,
        content=part,
        start_line=lines[0],
        end_line=lines[1],
        total_lines=total,
        size=got.size,
        sha256=got.sha256,
        truncated=cut,
    )
    text, _ = cap_text(part, max(DEFAULT_CAP, args.max_bytes))
    of = f" of {total}" if total is not None else ""
    return ToolReply(result, f"{args.path}, lines {lines[0]}-{lines[1]}{of}:\n{text}")


def _lines(data: bytes, size: int, args: ReadArguments) -> tuple[str, tuple[int, int], int | None, bool]:
    if b"\0" in data[:8192]:
        raise InvalidArgument(f"{args.path} is a binary file", hint="Ask for encoding base64.")
    lines = data.decode("utf-8", "replace").splitlines(keepends=True)
    first = args.start_line - 1
    chosen: list[str] = []
    room = args.max_bytes
    for line in lines[first : first + args.max_lines]:
        room -= len(line.encode())
        if room < 0:
            break
        chosen.append(line)
    if not chosen and first < len(lines):
        chosen.append(lines[first].encode()[: args.max_bytes].decode("utf-8", "ignore"))
    end = first + len(chosen)
    whole_file = size == len(data)
    part = "".join(chosen)
    cut = not whole_file or end < len(lines) or (bool(chosen) and len(part) < sum(map(len, lines[first:end])))
    return part, (args.start_line, end), len(lines) if whole_file else None, cut


class WriteArguments(Arguments):
    """The whole new content of a file."""

    path: WorkspacePath
    content: str = Field(max_length=MAX_FILE // 2)
    if_sha256: str | None = Field(
        default=None, description="Write only when the file still has this hash; '' means: it must not exist."
    )
    create_dirs: bool = False
    mode: int | None = Field(default=None, ge=0o400, le=0o777)

    def touched(self) -> Touched:
        """The file, and how large it would be."""
        return Touched(paths=(self.path,), size=len(self.content.encode("utf-8", "replace")))


class FileWritten(Closed):
    """What stands in the file now."""

    path: str
    sha256: str
    bytes: int


async def fs_write(context: ToolContext, args: WriteArguments) -> ToolReply:
    """Write a whole file atomically."""
    request = WriteRequest(
        path=args.path,
        data_b64=base64.b64encode(args.content.encode("utf-8", "replace")).decode(),
        create_dirs=args.create_dirs,
        if_sha256=args.if_sha256,
        mode=args.mode,
    )
    wrote = await context.sandboxes.write(context.sandbox, request)
    result = FileWritten(path=args.path, sha256=wrote.sha256, bytes=wrote.size)
    return ToolReply(result, f"Wrote {wrote.size} bytes to {args.path}.")


class Edit(Closed):
    """Replace ``old``, which must occur exactly ``expected_count`` times, by ``new``."""

    old: str = Field(min_length=1)
    new: str
    expected_count: int = Field(default=1, ge=1)


class EditArguments(Arguments):
    """Edits of one file, applied in order; all or none."""

    path: WorkspacePath
    edits: list[Edit] = Field(min_length=1, max_length=100)
    if_sha256: str | None = None
    dry_run: bool = False

    def touched(self) -> Touched:
        """The file."""
        return Touched(paths=(self.path,))


class FileEdited(Closed):
    """The change as a unified diff, and the hash of the file after it."""

    path: str
    diff: str
    sha256: str
    applied: bool


async def fs_edit(context: ToolContext, args: EditArguments) -> ToolReply:
    """Replace exact pieces of text; raises Conflict when a piece does not occur as often as expected."""
    got = await context.sandboxes.read(context.sandbox, args.path, 0, MAX_FILE)
    if got.size > MAX_FILE:
        raise TooLarge(f"{args.path} has {got.size} bytes, more than fs_edit takes")
    if args.if_sha256 is not None and args.if_sha256 != got.sha256:
        raise Conflict(f"{args.path} has changed", hint="Read it again.")
    before = decode_text(args.path, base64.b64decode(got.data_b64))
    after = before
    for number, edit in enumerate(args.edits, start=1):
        count = after.count(edit.old)
        if count != edit.expected_count:
            raise Conflict(
                f"edit {number}: the old text occurs {count} times in {args.path}, not {edit.expected_count}",
                hint="Read the file again and give more lines around the place, or another expected_count.",
            )
        after = after.replace(edit.old, edit.new)
    diff = _unified(args.path, before, after)
    sha256 = got.sha256
    if not args.dry_run:
        request = WriteRequest(
            path=args.path,
            data_b64=base64.b64encode(after.encode("utf-8", "replace")).decode(),
            if_sha256=got.sha256,
        )
        sha256 = (await context.sandboxes.write(context.sandbox, request)).sha256
    capped, _ = cap_text(diff, HARD_CAP // 2)
    result = FileEdited(path=args.path, diff=capped, sha256=sha256, applied=not args.dry_run)
    done = "Would change" if args.dry_run else "Changed"
    return ToolReply(result, f"{done} {args.path}:\n{cap_text(diff)[0]}")


def decode_text(path: str, data: bytes) -> str:
    """Return a file's text; raises InvalidArgument."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path} is not UTF-8 text") from error


def _unified(path: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


FILE_TOOLS = (
    Tool(
        "fs_read",
        "Read lines of a file.",
        ReadArguments,
        FileRead,
        fs_read,
        read_only=True,
        repeatable=True,
        errors=("NOT_FOUND", "PATH_OUTSIDE"),
    ),
    Tool(
        "fs_write",
        "Write a whole file. For a change to an existing file prefer fs_edit.",
        WriteArguments,
        FileWritten,
        fs_write,
        read_only=False,
        destructive=True,
        idempotent=True,
        errors=("CONFLICT", "NOT_FOUND", "PATH_OUTSIDE"),
    ),
    Tool(
        "fs_edit",
        "Replace exact pieces of text in a file; each must occur expected_count times. All edits or none.",
        EditArguments,
        FileEdited,
        fs_edit,
        read_only=False,
        destructive=True,
        errors=("CONFLICT", "NOT_FOUND", "PATH_OUTSIDE"),
    ),
)
"""The group's tools."""
