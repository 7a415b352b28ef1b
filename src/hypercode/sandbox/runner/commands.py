"""Running a command to its end: feeds stdin, keeps bounded output, kills it on time or cancel."""

from __future__ import annotations

import base64
import threading
import time

from launching import ending
from refusals import Refused
from streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    import socket
    from collections.abc import Callable
    from typing import Any

    from background import Background
    from launching import Launcher
    from logs import Log

GRACE = 10.0
KILL = b"k"


class BoundedOutput:
    """Keeps the head and the tail of a stream, at most ``limit`` bytes together; all of it goes to ``log``."""

    def __init__(self, limit: int, log: Log | None = None) -> None:
        self._log = log
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        if self._log is not None:
            self._log.add(data)
        self.total += len(data)
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def truncated(self) -> bool:
        """Whether something in the middle was left out."""
        return self.total > 2 * self._half

    def value(self) -> bytes:
        """Return what was kept, with a line that says how much was left out."""
        if not self.truncated:
            return bytes(self._head + self._tail)
        left_out = self.total - 2 * self._half
        note = ("\n[... %d bytes left out ...]\n" % left_out).encode()
        return bytes(self._head) + note + bytes(self._tail[-self._half :])


class Command:
    """What a request runs or waits for; ``cancel`` may be called from another thread at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._watcher: Callable[[], None] | None = None
        self.cancelled = False

    def attach(self, control: socket.socket) -> None:
        """Give it the control socket; a cancel that came earlier takes effect now."""
        with self._lock:
            self._control = control
            if self.cancelled:
                self._kill()

    def detach(self) -> None:
        """The command has ended; the socket is about to be closed."""
        with self._lock:
            self._control = None

    def cancel(self) -> None:
        """Kill the command's whole tree, or wake what waits for another's."""
        with self._lock:
            self.cancelled = True
            self._kill()
            watcher = self._watcher
        if watcher is not None:
            watcher()

    def watch(self, cancelled: Callable[[], None]) -> None:
        """Have ``cancelled`` called when a cancel comes; one that came earlier takes effect now."""
        with self._lock:
            self._watcher = cancelled
            late = self.cancelled
        if late:
            cancelled()

    def signal(self, number: int) -> None:
        """Send a signal to the command's process group."""
        with self._lock:
            self._say(bytes([number]))

    def kill(self) -> None:
        """Kill the command's whole tree because its time is over."""
        with self._lock:
            self._kill()

    def _kill(self) -> None:
        self._say(KILL)

    def _say(self, word: bytes) -> None:
        if self._control is not None:
            try:
                self._control.send(word)
            except OSError:
                return


class Commands:
    """Runs commands to their end."""

    def __init__(self, launcher: Launcher, background: Background) -> None:
        self._launcher = launcher
        self._background = background

    def run(self, request: dict[str, Any], command: Command) -> dict[str, Any]:
        """Run one command to its end; its process tree is dead when this returns."""
        log_id: str | None = request.get("log_id")
        log = self._background.open_log(log_id) if log_id else None
        keep = False
        try:
            reply = self._run(request, command, log)
            over: int | None = request.get("log_over")
            keep = reply["truncated"] or (log is not None and over is not None and log.total > over)
        finally:
            if log_id:
                self._background.close_log(log_id, keep=keep)
        return {**reply, "log_id": log_id if keep else None}

    def _run(self, request: dict[str, Any], command: Command, log: Log | None) -> dict[str, Any]:
        timeout, limit = float(request["timeout_s"]), int(request["max_output"])
        started = time.monotonic()
        launched = self._launcher.start(request, merged=False)
        outputs = [BoundedOutput(limit, log), BoundedOutput(limit, log)]
        sinks = {fd: output.add for fd, output in zip(launched.outputs, outputs)}  # noqa: B905 - Python 3.9
        streams = Streams(sinks, launched.control)
        streams.feed(launched.stdin, request.get("stdin", "").encode())
        command.attach(launched.control)
        try:
            timed_out = _attend(streams, command, started + timeout)
        finally:
            command.detach()
            streams.close()
        if command.cancelled:
            raise Refused("CANCELLED", "the command was cancelled and its process tree killed")
        seconds = time.monotonic() - started
        return _result(streams.answer(), outputs, request["argv"], timed_out, seconds)


def _attend(streams: Streams, command: Command, deadline: float) -> bool:
    """Move data until the command has ended; return whether its time ran out."""
    timed_out = False
    while not streams.ended:
        left = deadline - time.monotonic()
        if left <= 0 and not timed_out:
            timed_out = True
            command.kill()
        if left <= -GRACE:
            break
        streams.step(left + GRACE if timed_out else left)
    streams.drain(1.0)
    return timed_out


def _result(
    answer: dict[str, Any], outputs: list[BoundedOutput], argv: list[str], timed_out: bool, seconds: float
) -> dict[str, Any]:
    stdout, stderr = outputs
    code, signal, note = ending(answer, argv, timed_out)
    return {
        "exit_code": code,
        "signal": signal,
        "timed_out": timed_out,
        "stdout_b64": base64.b64encode(stdout.value()).decode(),
        "stderr_b64": base64.b64encode(stderr.value() + note).decode(),
        "truncated": stdout.truncated or stderr.truncated,
        "duration_ms": round(seconds * 1000, 3),
    }
