"""A long command shows life: every few seconds its caller hears the last line of its output."""

import base64
import re
import secrets
import time

import anyio

from hypercode.domain.errors import HyperCodeError, SandboxDown
from hypercode.sandbox.base import ExecRequest, ExecResult
from hypercode.sandbox.processes import ProcessRead
from hypercode.tools.registry import ToolContext

FIRST_S = 2.0
EVERY_S = 5.0
"""Each progress is an event of the run: a long command does not flood it."""

LINE = 200
_TAIL = 2000
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


async def followed(context: ToolContext, request: ExecRequest) -> ExecResult:
    """Run a command, say how far it is while it runs, and keep its log when its output is cut."""
    asked = request.model_copy(update={"log_id": secrets.token_hex(16)})
    sandbox = context.sandbox
    done: ExecResult | None = None
    failed: HyperCodeError | None = None
    async with anyio.create_task_group() as group:
        group.start_soon(_follow, context, str(asked.log_id))
        try:
            done = await context.sandboxes.exec(sandbox, asked)
        except HyperCodeError as error:
            # Raised inside the group it would come out wrapped.
            failed = error
        group.cancel_scope.cancel()
    if done is None:
        raise failed or SandboxDown("the command was broken off")
    return done


async def _follow(context: ToolContext, log_id: str) -> None:
    started = time.monotonic()
    tail = ProcessRead(sandbox_id=context.sandbox, proc_id=log_id, offset=None, limit=_TAIL)
    pause = FIRST_S
    while True:
        await anyio.sleep(pause)
        pause = EVERY_S
        try:
            part = await context.sandboxes.process_read(tail)
        except HyperCodeError:
            return  # it has just ended, or is about to say itself what is wrong
        line = last_line(base64.b64decode(part.data_b64))
        await context.report(f"{time.monotonic() - started:.0f} s: {line or 'no output yet'}")


def last_line(data: bytes) -> str:
    """The last line that says something, as plain text: no escapes, no control characters, cut."""
    text = _ESCAPES.sub("", data.decode("utf-8", "replace"))
    lines = ("".join(c for c in line if c.isprintable()).strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line), "")[:LINE]
