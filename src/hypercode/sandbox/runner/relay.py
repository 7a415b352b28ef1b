"""Joins stdin and stdout to the runner's socket: what sandboxd starts in the container to reach the runner.

It starts with every connection, so it imports as little as it can: not even ``socket`` and ``threading``.
"""

from __future__ import annotations

import _socket
import _thread
import os
import time

import processes

SOCKET = "/run/hypercode/runner.sock"


def _connect(seconds: float) -> _socket.socket:
    deadline = time.monotonic() + seconds
    while True:
        connection = _socket.socket(_socket.AF_UNIX)
        try:
            connection.connect(SOCKET)
        except OSError:
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return connection


def _pump(source: int, target: int) -> None:
    try:
        while True:
            part = os.read(source, 1 << 16)
            if not part:
                return
            view = memoryview(part)
            while view:
                view = view[os.write(target, view) :]
    except OSError:
        return


def _inward(target: int) -> None:
    try:
        _pump(0, target)
    finally:
        os._exit(0)


def relay() -> None:
    """Join until either side ends."""
    processes.hide()
    join(_connect(10.0).detach())


def join(target: int) -> None:
    """Join stdin and stdout to a socket until either side ends."""
    _thread.start_new_thread(_inward, (target,))
    _pump(target, 1)
