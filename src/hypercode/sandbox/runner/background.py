"""Processes that outlive the request that started them, and the logs of commands whose output was cut.

They live here, in the container: whoever connects next finds them under their ids, which nobody can guess.
"""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import select
import threading
import time

import readiness
from launching import ending
from logs import Log
from refusals import NO_PROCESS_LEFT, Refused
from streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

    from commands import Command
    from launching import Launched, Launcher

MAX_RUNNING = 16
MAX_ENDED = 16
MAX_LOGS = 8
SIGKILL = 9
GRACE = 10.0
FEED = 5.0


class Process:
    """One started command: its output, its stdin, and how it ended."""

    def __init__(self, argv: list[str], launched: Launched, tree: Command) -> None:
        self.argv = argv
        self.log = Log()
        self.tree = tree
        self.exit_code: int | None = None
        self.signal: int | None = None
        self.started = time.monotonic()
        self._stdin: int | None = launched.stdin
        self._stdin_lock = threading.Lock()
        self._streams = Streams({launched.outputs[0]: self.log.add}, launched.control)
        os.set_blocking(launched.stdin, False)
        tree.attach(launched.control)
        try:
            threading.Thread(target=self._attend, daemon=True).start()
        except RuntimeError:
            # With its control socket closed, its parent kills it.
            tree.detach()
            self._streams.close()
            self.close_stdin()
            raise Refused(*NO_PROCESS_LEFT) from None

    def _attend(self) -> None:
        while not self._streams.ended:
            self._streams.step(3600.0)
        self._streams.drain(1.0)
        self.tree.detach()
        self.exit_code, self.signal, note = ending(self._streams.answer(), self.argv, False)
        self._streams.close()
        self.close_stdin()
        if note:
            self.log.add(note)
        self.log.end()

    def close_stdin(self) -> None:
        """Let the process read the end of its stdin."""
        with self._stdin_lock:
            if self._stdin is not None:
                os.close(self._stdin)
                self._stdin = None

    def feed(self, data: bytes) -> int:
        """Write to stdin as far as the process takes it within a few seconds; return how much that was."""
        view, deadline = memoryview(data), time.monotonic() + FEED
        with self._stdin_lock:
            if self._stdin is None:
                raise Refused("CONFLICT", "the process has ended, or its stdin was closed")
            while view and time.monotonic() < deadline:
                try:
                    view = view[os.write(self._stdin, view[: 1 << 16]) :]
                except BlockingIOError:
                    select.select([], [self._stdin], [], 0.1)
                except OSError:
                    raise Refused("CONFLICT", "the process does not read its stdin any more") from None
        return len(data) - len(view)

    def kill(self, number: int, grace: float) -> None:
        """Signal the process; what still runs after ``grace`` is killed with all of its tree."""
        if number != SIGKILL:
            self.tree.signal(number)
            self.log.wait(grace, lambda: self.log.ended)
        if not self.log.ended:
            self.tree.kill()
            self.log.wait(GRACE, lambda: self.log.ended)


class Background:
    """The processes and kept logs of this container, by their ids."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._processes: dict[str, Process] = {}
        self._logs: dict[str, Log] = {}
        self._lock = threading.Lock()

    def start(self, request: dict[str, Any], command: Command, tree: Command) -> dict[str, Any]:
        """Start a process and wait until it is ready, if that was asked; a cancelled start leaves nothing."""
        ready = request.get("ready")
        pattern = readiness.compiled(ready["regex"]) if ready and ready.get("regex") else None
        port = int(ready["port"]) if ready and ready.get("port") else 0
        if port and readiness.listens(port):
            raise Refused("CONFLICT", "something in the sandbox listens on port %d already" % port)
        with self._lock:
            self._make_room()
            process = Process(request["argv"], self._launcher.start(request, merged=True), tree)
            proc_id = secrets.token_hex(16)
            self._processes[proc_id] = process
        said: dict[str, Any] = {"proc_id": proc_id, "ready": None}
        if ready:
            command.watch(process.tree.kill)
            deadline = time.monotonic() + float(ready["timeout_s"])
            try:
                said["ready"] = (not pattern or readiness.wait_for_line(pattern, process.log, deadline)) and (
                    not port or readiness.wait_for_port(port, process.log, deadline)
                )
            except OSError:
                # It left no process with which to look for the line.
                process.kill(SIGKILL, 0.0)
                raise Refused(*NO_PROCESS_LEFT) from None
        if command.cancelled:
            process.kill(SIGKILL, 0.0)
            raise Refused("CANCELLED", "the start was cancelled and the process killed")
        return {**said, **_state(process)}

    def _make_room(self) -> None:
        ended = [proc_id for proc_id, process in self._processes.items() if process.log.ended]
        for proc_id in ended[: max(0, len(ended) - MAX_ENDED + 1)]:
            del self._processes[proc_id]
        if len(self._processes) - min(len(ended), MAX_ENDED - 1) >= MAX_RUNNING:
            raise Refused(
                "RATE_LIMITED", "%d processes are running already" % MAX_RUNNING, "end one with sh_kill"
            )

    def read(
        self, proc_id: str, offset: int | None, wait_ms: int, limit: int, command: Command
    ) -> dict[str, Any]:
        """Return output from ``offset`` on; waits for output that is not there yet, or for the end."""
        log = self._log(proc_id)
        command.watch(log.wake)
        if offset is not None:
            wanted = offset
            log.wait(wait_ms / 1000, lambda: log.ended or log.total > wanted or command.cancelled)
        if command.cancelled:
            raise Refused("CANCELLED", "the read was cancelled; the process goes on")
        ended = log.ended
        first, data = log.part(offset, limit)
        process = self._processes.get(proc_id)
        return {
            "data_b64": base64.b64encode(data).decode(),
            "offset": first,
            "next_offset": first + len(data),
            "size": log.total,
            "running": not ended,
            "exit_code": process.exit_code if process else None,
            "signal": process.signal if process else None,
        }

    def write(self, proc_id: str, data_b64: str, end: bool) -> dict[str, Any]:
        """Write to a process's stdin; ``end`` closes it afterwards."""
        process = self._process(proc_id)
        try:
            data = base64.b64decode(data_b64, validate=True)
        except (binascii.Error, ValueError) as failure:
            raise Refused("INVALID_ARGUMENT", "data_b64 is not base64") from failure
        written = process.feed(data)
        if end and written == len(data):
            process.close_stdin()
        return {"written": written}

    def kill(self, proc_id: str, signal: int, grace_s: float) -> dict[str, Any]:
        """Signal a process and see that its whole tree is gone."""
        process = self._process(proc_id)
        process.kill(signal, grace_s)
        return _state(process)

    def list(self) -> dict[str, Any]:
        """Return what there is: processes in the order of their start, then kept logs."""
        now = time.monotonic()
        with self._lock:
            processes, logs = list(self._processes.items()), list(self._logs.items())
        return {
            "processes": [
                {
                    "proc_id": proc_id,
                    "argv": [word[:500] for word in process.argv[:20]],
                    "age_s": round(now - process.started, 1),
                    "size": process.log.total,
                    **_state(process),
                }
                for proc_id, process in processes
            ],
            "logs": [{"proc_id": proc_id, "size": log.total} for proc_id, log in logs if log.ended],
        }

    def open_log(self, log_id: str) -> Log:
        """Open a log for a command that is about to run, under an id that its caller made up."""
        log = Log()
        with self._lock:
            if log_id in self._logs or log_id in self._processes:
                raise Refused("CONFLICT", "there is a log with this id already")
            self._logs[log_id] = log
        return log

    def close_log(self, log_id: str, *, keep: bool) -> None:
        """The command has ended: keep its log among the few latest, or forget it."""
        with self._lock:
            self._logs[log_id].end()
            if not keep:
                del self._logs[log_id]
            ended = [each for each, log in self._logs.items() if log.ended]
            for each in ended[: max(0, len(ended) - MAX_LOGS)]:
                del self._logs[each]

    def _process(self, proc_id: str) -> Process:
        process = self._processes.get(proc_id)
        if process is None:
            raise Refused(
                "NOT_FOUND", "there is no such process", "see sh_list; old ended ones are forgotten"
            )
        return process

    def _log(self, proc_id: str) -> Log:
        log = self._logs.get(proc_id)
        return log if log is not None else self._process(proc_id).log


def _state(process: Process) -> dict[str, Any]:
    return {"running": not process.log.ended, "exit_code": process.exit_code, "signal": process.signal}
