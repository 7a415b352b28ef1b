"""A tools process with two tools that never end: started by test_kill.py, killed in the middle of a call."""

import sys
from pathlib import Path
from typing import cast

import anyio

from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.sandbox.base import Sandboxes
from hypercode.store.database import Database
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


async def main(url: str, public_hex: str, directory: Path) -> None:
    tools = [
        Tool("fs_write", "w", Nothing, Done, Marking(directory / "write").run, read_only=False),
        Tool("fs_read", "r", Nothing, Done, Marking(directory / "read").run, read_only=True),
    ]
    database = Database(url)
    keys = PlatformKeys(platform="p", verifier="v", sandboxd="s", grant_public_hex=public_hex)
    apps = create_app(database, cast(Sandboxes, None), keys, Registry(tools))
    await listen(apps, database, mcp=directory / "tools.sock", platform=directory / "platform.sock")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], Path(sys.argv[3]))
