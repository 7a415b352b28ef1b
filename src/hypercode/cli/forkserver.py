"""The fork server of embedded mode: loads the code of all processes once, and forks one for each start.

Five processes that each import the same libraries cost seconds of two cores and five times the memory; a
killed worker would be away for as long as its imports take. Linux only: elsewhere processes are started anew.

It speaks JSON lines: ``{"id", "arguments", "environment", "log"}`` in; ``{"id", "pid"}`` and
``{"id", "exit_code"}`` out. It holds no key: a child's environment comes through the pipe, so a model key is
in the worker's memory only.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from setproctitle import setproctitle

from hypercode.cli.__main__ import main
from hypercode.telemetry.tracing import flush_traces

PR_SET_PDEATHSIG = 1


def forkserver(commands: list[str]) -> None:
    """Load these commands, then serve forks on standard input until it ends; then every child is told to stop."""
    for name in commands:
        importlib.import_module(f"hypercode.cli.{name}")
    # It finds the place of the title once, while the first environment still stands there.
    setproctitle("hypercode forkserver")
    # What is loaded now is never garbage; unfrozen, the first collection would copy every shared page.
    gc.collect()
    gc.freeze()
    _ForkServer().serve()


class _ForkServer:
    def __init__(self) -> None:
        self._children: dict[int, int] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGCHLD, _only_wake)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def serve(self) -> None:
        self._say({"ready": True})
        buffer = b""
        while True:
            ready, _, _ = select.select([sys.stdin.fileno(), self._wake_read], [], [])
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._reap()
            if sys.stdin.fileno() in ready:
                data = os.read(sys.stdin.fileno(), 65536)
                if not data:
                    break
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._fork(json.loads(line))
        for pid in self._children:
            os.kill(pid, signal.SIGTERM)

    def _fork(self, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            self._become(order)
        self._children[pid] = order["id"]
        self._say({"id": order["id"], "pid": pid})

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._say({"id": self._children.pop(pid), "exit_code": os.waitstatus_to_exitcode(status)})

    def _say(self, line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    def _become(self, order: dict[str, Any]) -> NoReturn:
        """Turn the forked copy into the process that was ordered; never returns."""
        code = 1
        try:
            _detach(order["log"])
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (self._wake_read, self._wake_write):
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(order["environment"])
            sys.argv = ["hypercode", *order["arguments"]]
            setproctitle(" ".join(sys.argv))
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException as error:  # noqa: BLE001 - the process edge: what comes here ends this process
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            flush_traces()
            sys.stderr.flush()
            os._exit(code)


def _only_wake(number: int, frame: FrameType | None) -> None:
    """A handler must stand for the wake-up byte to be written; the loop does the rest."""


def _detach(log: str) -> None:
    """A session of its own, no input, output to the log, and no life after the fork server's."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
