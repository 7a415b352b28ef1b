"""Whether a started process is ready: it listens on a port, or a line of its output matches."""

from __future__ import annotations

import os
import re
import select
import signal
import time

from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from logs import Log

LISTENING = "0A"
LOOK_EVERY = 0.05
LINE = 4096


def listens(port: int) -> bool:
    """Whether anything in the container listens on this TCP port; read, not connected to."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as stream:
                rows = [line.split() for line in stream.readlines()[1:]]
        except OSError:
            continue
        for row in rows:
            if len(row) > 3 and row[3] == LISTENING and int(row[1].rpartition(":")[2], 16) == port:
                return True
    return False


def compiled(pattern: str) -> re.Pattern[str]:
    """Return the expression; raises Refused for what is none."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as failure:
        raise Refused("INVALID_ARGUMENT", "not a regular expression: %s" % failure) from failure


def wait_for_port(port: int, log: Log, deadline: float) -> bool:
    """Wait until the port is listened on; False when time is over or the process has ended."""
    while not log.ended and time.monotonic() < deadline:
        if listens(port):
            return True
        log.wait(min(LOOK_EVERY, deadline - time.monotonic()), lambda: log.ended)
    return False


def wait_for_line(pattern: re.Pattern[str], log: Log, deadline: float) -> bool:
    """Wait until a line of the output matches; False when time is over or the process has ended."""
    seen = 0
    while True:
        start, data = log.part(seen, 1 << 16)
        lines = data.split(b"\n")
        if data and _matches(pattern, lines, deadline):
            return True
        if time.monotonic() >= deadline:
            return False
        # A line may be half written: it is looked at again, unless it has grown past all measure.
        end = start + len(data)
        seen = end - (len(lines[-1]) if len(lines[-1]) < LINE else 0)
        if log.ended and end == log.total:
            return False
        log.wait(deadline - time.monotonic(), lambda end=end: log.ended or log.total > end)


def _matches(pattern: re.Pattern[str], lines: list[bytes], deadline: float) -> bool:
    """Search in a forked child that is killed when time is over: one search can't be interrupted."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if any(pattern.search(line[:LINE].decode("utf-8", "replace")) for line in lines):
                os.write(writer, b"y")
        finally:
            os._exit(0)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], max(0.0, deadline - time.monotonic()))
        return bool(ready) and os.read(reader, 1) == b"y"
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
