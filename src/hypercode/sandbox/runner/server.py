"""The main process of a sandbox: listens on a unix socket inside it and serves file and command requests."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading

import changes
import files
import listing
import moves
import processes
import snapshots
from background import Background
from beneath import Root
from commands import Command, Commands
from forker import run_forker
from frames import FrameTooLarge, FrameWriter, read_frame
from launching import Launcher
from refusals import NO_PROCESS_LEFT, Refused
from relay import SOCKET
from search import search

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable
    from typing import Any

WORKSPACE = "/workspace"
VERSION = 1
FULL = ""
OPERATIONS: dict[str, Callable[..., dict[str, Any]]] = {
    "read": files.read,
    "write": files.write,
    "change": changes.change,
    "move": moves.move,
    "delete": moves.delete,
    "stat": listing.stat_of,
    "tree": listing.tree,
    "glob": listing.glob,
    "search": search,
    "snapshot_take": snapshots.take,
    "snapshot_restore": snapshots.restore,
}


class Connection:
    """One relay's connection: many requests in flight, each in a thread of its own."""

    def __init__(
        self, connection: socket.socket, root: Root, commands: Commands, background: Background
    ) -> None:
        self._connection = connection
        self._writer = FrameWriter(connection.fileno())
        self._root = root
        self._commands = commands
        self._background = background
        self._running: dict[int, Command] = {}
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Answer requests until the other side is gone, then kill what it had running."""
        self._writer.send({"hello": VERSION})
        try:
            while True:
                message = read_frame(self._connection.fileno())
                if message is None:
                    break
                if "cancel" in message:
                    self._cancel(message["cancel"])
                else:
                    self._begin(message)
        except (OSError, ValueError, KeyError, TypeError, FrameTooLarge):
            pass
        finally:
            with self._lock:
                left = list(self._running.values())
            for command in left:
                command.cancel()
            # Threads still hold the writer; a shut-down socket makes their sends end quietly.
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def _begin(self, message: dict[str, Any]) -> None:
        """Answer in a thread; where there is none left, only what frees some is still done, in this one."""
        command = Command()
        with self._lock:
            self._running[message["id"]] = command
        try:
            threading.Thread(target=self._answer, args=(message, command), daemon=True).start()
        except RuntimeError:
            if message["op"] != "process_kill":
                message = {"id": message["id"], "op": FULL}
            self._answer(message, command)

    def _cancel(self, number: int) -> None:
        with self._lock:
            command = self._running.get(number)
        if command is not None:
            command.cancel()

    def _answer(self, message: dict[str, Any], command: Command) -> None:
        number: int = message["id"]
        reply: dict[str, Any]
        try:
            reply = {"id": number, "ok": self._perform(message["op"], message.get("args") or {}, command)}
        except Refused as refused:
            error = {"code": refused.code, "message": refused.message, "hint": refused.hint}
            reply = {"id": number, "error": error}
        except Exception as failure:  # noqa: BLE001 - the edge of the process: a bug answers, it doesn't hang
            error = {"code": "INTERNAL", "message": "%s: %s" % (type(failure).__name__, failure), "hint": ""}
            reply = {"id": number, "error": error}
        with self._lock:
            self._running.pop(number, None)
        self._writer.send(reply)

    def _perform(self, op: str, args: dict[str, Any], command: Command) -> dict[str, Any]:
        if op == FULL:
            raise Refused(*NO_PROCESS_LEFT)
        if op == "exec":
            return self._commands.run(args, command)
        if op.startswith("process_"):
            return self._process(op, args, command)
        if op in OPERATIONS:
            return OPERATIONS[op](self._root, **args)
        if op == "reports":
            return files.reports(**args)
        raise Refused("INVALID_ARGUMENT", "no such operation: %r" % op)

    def _process(self, op: str, args: dict[str, Any], command: Command) -> dict[str, Any]:
        if op == "process_start":
            # Its tree is no request's: neither a cancel of a later one nor the end of this connection kills it.
            return self._background.start(args, command, Command())
        if op == "process_read":
            return self._background.read(command=command, **args)
        if op == "process_write":
            return self._background.write(**args)
        if op == "process_kill":
            return self._background.kill(**args)
        if op == "process_list":
            return self._background.list()
        raise Refused("INVALID_ARGUMENT", "no such operation: %r" % op)


def _start_forker() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        code = 1
        try:
            ours.close()
            run_forker(theirs)
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    return ours


def serve(directory: str = WORKSPACE) -> None:
    """Listen until the container is stopped; paths are relative to ``directory``."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    processes.hide()
    channel = _start_forker()
    root = Root(directory)
    launcher = Launcher(root, channel)
    background = Background(launcher)
    commands = Commands(launcher, background)
    os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    os.chmod(SOCKET, 0o600)
    listener.listen(16)
    while True:
        connection, _address = listener.accept()
        server = Connection(connection, root, commands, background)
        try:
            threading.Thread(target=server.serve, daemon=True).start()
        except RuntimeError:
            # A fork bomb has taken every process: whoever connects may try again, and the others go on.
            connection.close()
