"""Running a command: hands it to the forker, feeds stdin, keeps bounded output, kills it on time or cancel."""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import threading
import time

from beneath import check_path
from forker import send_command
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from beneath import Root

GRACE = 10.0


class BoundedOutput:
    """Keeps the head and the tail of a stream, at most ``limit`` bytes together."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
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
    """One running command; ``cancel`` may be called from another thread at any time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
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
        """Kill the command's whole tree."""
        with self._lock:
            self.cancelled = True
            self._kill()

    def kill(self) -> None:
        """Kill the command's whole tree because its time is over."""
        with self._lock:
            self._kill()

    def _kill(self) -> None:
        if self._control is not None:
            try:
                self._control.send(b"k")
            except OSError:
                return


class _Streams:
    """The parent's ends of a command's pipes and control socket, moved by one selector."""

    def __init__(
        self, stdin: int, outputs: dict[int, BoundedOutput], control: socket.socket, data: bytes
    ) -> None:
        self._selector = selectors.DefaultSelector()
        self._data = memoryview(data)
        self._open = set(outputs)
        self._outputs = outputs
        self._control = control
        self._answer = b""
        self.ended = False
        for fd in outputs:
            self._selector.register(fd, selectors.EVENT_READ, self._read)
        self._selector.register(control, selectors.EVENT_READ, self._read_control)
        os.set_blocking(stdin, False)
        self._stdin: int | None = stdin
        if data:
            self._selector.register(stdin, selectors.EVENT_WRITE, self._write)
        else:
            os.close(stdin)
            self._stdin = None

    @property
    def drained(self) -> bool:
        """Whether both output streams are at their end."""
        return not self._open

    def answer(self) -> dict[str, Any]:
        """Return how the command ended, {} when its parent died without a word."""
        said: dict[str, Any] = json.loads(self._answer) if self._answer else {}
        return said

    def step(self, seconds: float) -> None:
        """Move what can be moved, waiting at most ``seconds``."""
        for key, _events in self._selector.select(max(0.0, seconds)):
            key.data(key.fd)

    def _read(self, fd: int) -> None:
        part = os.read(fd, 1 << 16)
        if part:
            self._outputs[fd].add(part)
        else:
            self._selector.unregister(fd)
            self._open.discard(fd)

    def _read_control(self, _fd: int) -> None:
        part = self._control.recv(4096)
        self._answer += part
        if not part or self._answer.endswith(b"\n"):
            self.ended = True
            self._selector.unregister(self._control)

    def _write(self, fd: int) -> None:
        try:
            self._data = self._data[os.write(fd, self._data[: 1 << 16]) :]
        except BlockingIOError:
            return
        except OSError:
            self._data = memoryview(b"")
        if not self._data:
            self._selector.unregister(fd)
            os.close(fd)
            self._stdin = None

    def close(self) -> None:
        """Close everything of ours."""
        self._selector.close()
        for fd in self._outputs:
            os.close(fd)
        if self._stdin is not None:
            os.close(self._stdin)
        self._control.close()


class Commands:
    """Runs commands through the forker's channel."""

    def __init__(self, root: Root, channel: socket.socket) -> None:
        self._root = root
        self._channel = channel
        self._channel_lock = threading.Lock()

    def run(self, request: dict[str, Any], command: Command) -> dict[str, Any]:
        """Run one command to its end; its process tree is dead when this returns."""
        argv, timeout = _checked(request)
        env = dict(os.environ)
        env.update(request.get("env") or {})
        description = json.dumps({"argv": argv, "env": env}).encode()
        folder = self._root.open_directory(check_path(request.get("cwd") or "."))
        limit = int(request["max_output"])
        started = time.monotonic()
        streams, outputs = self._launch(
            description, folder, limit, request.get("stdin", "").encode(), command
        )
        try:
            timed_out = self._attend(streams, command, started + timeout)
        finally:
            command.detach()
            streams.close()
        if command.cancelled:
            raise Refused("CANCELLED", "the command was cancelled and its process tree killed")
        return _result(streams.answer(), outputs, argv, timed_out, time.monotonic() - started)

    def _launch(
        self, description: bytes, folder: int, limit: int, data: bytes, command: Command
    ) -> tuple[_Streams, list[BoundedOutput]]:
        spec = os.memfd_create("command")
        os.write(spec, description)
        os.lseek(spec, 0, os.SEEK_SET)
        stdin, out, err = os.pipe(), os.pipe(), os.pipe()
        ours, theirs = socket.socketpair()
        with self._channel_lock:
            send_command(self._channel, [spec, folder, stdin[0], out[1], err[1], theirs.fileno()])
        for fd in (spec, folder, stdin[0], out[1], err[1]):
            os.close(fd)
        theirs.close()
        outputs = {out[0]: BoundedOutput(limit), err[0]: BoundedOutput(limit)}
        streams = _Streams(stdin[1], outputs, ours, data)
        command.attach(ours)
        return streams, list(outputs.values())

    def _attend(self, streams: _Streams, command: Command, deadline: float) -> bool:
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
        # All writers are dead, so this is what sits in the pipes; bounded, should one have been smuggled out.
        end = time.monotonic() + 1.0
        while not streams.drained and time.monotonic() < end:
            streams.step(end - time.monotonic())
        return timed_out


def _checked(request: dict[str, Any]) -> tuple[list[str], float]:
    argv: list[str] = request.get("argv") or []
    if not argv or any(type(arg) is not str or "\0" in arg for arg in argv):
        raise Refused("INVALID_ARGUMENT", "argv must be a list of texts without NUL")
    env: dict[str, str] = request.get("env") or {}
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Refused("INVALID_ARGUMENT", "not an environment variable: %r" % name)
    return argv, float(request["timeout_s"])


def _result(
    answer: dict[str, Any], outputs: list[BoundedOutput], argv: list[str], timed_out: bool, seconds: float
) -> dict[str, Any]:
    stdout, stderr = outputs
    errors = stderr.value()
    status: int | None = answer.get("status")
    code: int | None = None
    signal: int | None = None
    if "failed" in answer:
        code = 127 if answer["failed"] == 2 else 126
        errors += ("hypercode: can't run %s: %s\n" % (argv[0], os.strerror(answer["failed"]))).encode()
    elif status is None or timed_out:
        signal = 9
    elif os.WIFSIGNALED(status):
        signal = os.WTERMSIG(status)
    else:
        code = os.WEXITSTATUS(status)
    return {
        "exit_code": code,
        "signal": signal,
        "timed_out": timed_out,
        "stdout_b64": base64.b64encode(stdout.value()).decode(),
        "stderr_b64": base64.b64encode(errors).decode(),
        "truncated": stdout.truncated or stderr.truncated,
        "duration_ms": round(seconds * 1000, 3),
    }
