"""Starting a command: its description and file descriptors go to a spare parent of the forker."""

from __future__ import annotations

import json
import os
import socket
import threading

from beneath import check_path
from forker import send_command
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from beneath import Root


class Launched:
    """The runner's ends of a started command: stdin, its outputs, its control socket."""

    def __init__(self, stdin: int, outputs: list[int], control: socket.socket) -> None:
        self.stdin = stdin
        self.outputs = outputs
        self.control = control


class Launcher:
    """Starts commands through the forker's channel."""

    def __init__(self, root: Root, channel: socket.socket) -> None:
        self._root = root
        self._channel = channel
        self._channel_lock = threading.Lock()

    def start(self, request: dict[str, Any], *, merged: bool) -> Launched:
        """Start argv in cwd; ``merged``: stdout and stderr are one stream, in the order it was written."""
        argv, env = _checked(request)
        folder = self._root.open_directory(check_path(request.get("cwd") or "."))
        spec = os.memfd_create("command")
        os.write(spec, json.dumps({"argv": argv, "env": {**os.environ, **env}}).encode())
        os.lseek(spec, 0, os.SEEK_SET)
        stdin, out = os.pipe(), os.pipe()
        err = out if merged else os.pipe()
        ours, theirs = socket.socketpair()
        with self._channel_lock:
            send_command(self._channel, [spec, folder, stdin[0], out[1], err[1], theirs.fileno()])
        for fd in {spec, folder, stdin[0], out[1], err[1]}:
            os.close(fd)
        theirs.close()
        return Launched(stdin[1], [out[0]] if merged else [out[0], err[0]], ours)


def _checked(request: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    argv: list[str] = request.get("argv") or []
    if not argv or any(type(arg) is not str or "\0" in arg for arg in argv):
        raise Refused("INVALID_ARGUMENT", "argv must be a list of texts without NUL")
    env: dict[str, str] = request.get("env") or {}
    for name, value in env.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Refused("INVALID_ARGUMENT", "not an environment variable: %r" % name)
    return argv, env


def ending(answer: dict[str, Any], argv: list[str], killed: bool) -> tuple[int | None, int | None, bytes]:
    """Return (exit code, signal, a line for the output) from what a command's parent said of its end."""
    status: int | None = answer.get("status")
    if "failed" in answer:
        note = "hypercode: can't run %s: %s\n" % (argv[0][:200], os.strerror(answer["failed"]))
        return 127 if answer["failed"] == 2 else 126, None, note.encode()
    if status is None or killed:
        return None, 9, b""
    if os.WIFSIGNALED(status):
        return None, os.WTERMSIG(status), b""
    return os.WEXITSTATUS(status), None, b""
