"""The runner's ends of a command's pipes and control socket, moved by one selector."""

from __future__ import annotations

import json
import os
import selectors
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    import socket
    from collections.abc import Callable
    from typing import Any

    Sink = Callable[[bytes], None]


class Streams:
    """Reads the outputs into their sinks, feeds stdin when asked to, and hears how the command ended."""

    def __init__(self, outputs: dict[int, Sink], control: socket.socket) -> None:
        self._selector = selectors.DefaultSelector()
        self._data = memoryview(b"")
        self._open = set(outputs)
        self._outputs = outputs
        self._control = control
        self._answer = b""
        self._stdin: int | None = None
        self.ended = False
        for fd in outputs:
            self._selector.register(fd, selectors.EVENT_READ, self._read)
        self._selector.register(control, selectors.EVENT_READ, self._read_control)

    def feed(self, stdin: int, data: bytes) -> None:
        """Write ``data`` to the command's stdin as it takes it, then close it."""
        if not data:
            os.close(stdin)
            return
        os.set_blocking(stdin, False)
        self._stdin, self._data = stdin, memoryview(data)
        self._selector.register(stdin, selectors.EVENT_WRITE, self._write)

    def answer(self) -> dict[str, Any]:
        """Return how the command ended, {} when its parent died without a word."""
        said: dict[str, Any] = json.loads(self._answer) if self._answer else {}
        return said

    def step(self, seconds: float) -> None:
        """Move what can be moved, waiting at most ``seconds``."""
        for key, _events in self._selector.select(max(0.0, seconds)):
            key.data(key.fd)

    def drain(self, seconds: float) -> None:
        """Move what is left once all writers are dead; bounded, should one have been smuggled out."""
        end = time.monotonic() + seconds
        while self._open and time.monotonic() < end:
            self.step(end - time.monotonic())

    def _read(self, fd: int) -> None:
        part = os.read(fd, 1 << 16)
        if part:
            self._outputs[fd](part)
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
