"""A tools process with tools whose effects can be counted: started by killing.py, killed in the middle of calls."""

import sys
from pathlib import Path
from typing import Any, cast

import anyio

from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.base import Sandboxes
from hypercode.store.database import Database, named
from hypercode.store.journal import TOOLS
from hypercode.tools.app import create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.listeners import listen
from hypercode.tools.registry import Registry, Tool, ToolContext, ToolReply


class Nothing(Arguments):
    pass


class Done(Closed):
    times: int


class Marking:
    """Adds a line to a file; hangs the first time, answers later."""

    def __init__(self, marks: Path) -> None:
        self.marks = marks

    async def run(self, context: ToolContext, _: Nothing) -> ToolReply:
        with self.marks.open("a") as stream:
            stream.write("x\n")
        times = len(self.marks.read_text().splitlines())
        await context.report("entered")
        if times == 1:
            await anyio.sleep_forever()
        return ToolReply(Done(times=times), "done")


class Mark(Arguments):
    mark: str


async def _write(marks: Path, args: Mark) -> ToolReply:
    """One effect, visible at once and whole: a short append is atomic."""
    with marks.open("a") as stream:
        stream.write(f"{args.mark}\n")
    return ToolReply(Done(times=1), "done")


def hanging(directory: Path) -> list[Tool[Any]]:
    """Two tools that never end the first time."""
    return [
        Tool("fs_write", "w", Nothing, Done, Marking(directory / "write").run, read_only=False),
        Tool("fs_read", "r", Nothing, Done, Marking(directory / "read").run, read_only=True),
    ]


def marks(directory: Path) -> list[Tool[Any]]:
    """Two tools that are done at once: one with an effect, one without."""

    async def write(_: ToolContext, args: Mark) -> ToolReply:
        return await _write(directory / "marks", args)

    async def read(_: ToolContext, __: Mark) -> ToolReply:
        return ToolReply(Done(times=0), "done")

    return [
        Tool("fs_write", "w", Mark, Done, write, read_only=False),
        Tool("fs_read", "r", Mark, Done, read, read_only=True),
    ]


class MarkAt(Mark):
    path: WorkspacePath

    def touched(self) -> Touched:
        return Touched(paths=(self.path,))


def asks(directory: Path) -> list[Tool[Any]]:
    """A tool with an effect, which a person has to approve at some paths."""

    async def write(_: ToolContext, args: MarkAt) -> ToolReply:
        return await _write(directory / "marks", args)

    return [Tool("fs_write", "w", MarkAt, Done, write, read_only=False)]


async def main(url: str, public_hex: str, directory: Path, tools: str) -> None:
    database = Database(named(url, TOOLS))
    keys = PlatformKeys(platform="p", verifier="v", sandboxd="s", grant_public_hex=public_hex)
    registry = Registry({"hanging": hanging, "marks": marks, "asks": asks}[tools](directory))
    apps = create_app(database, cast(Sandboxes, None), keys, registry)
    await listen(apps, database, mcp=directory / "tools.sock", platform=directory / "platform.sock")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4])
