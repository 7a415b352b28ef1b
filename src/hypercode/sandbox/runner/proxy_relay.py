"""127.0.0.1 inside a container without a network, joined to the egress proxy's unix socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

PROXY = "/egress/proxy.sock"
CA_FILE = "/egress/ca.pem"


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while True:
            part = source.recv(1 << 16)
            if not part:
                break
            target.sendall(part)
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _join(near: socket.socket) -> None:
    far = socket.socket(socket.AF_UNIX)
    try:
        far.connect(PROXY)
        back = threading.Thread(target=_pump, args=(far, near), daemon=True)
        back.start()
        _pump(near, far)
        back.join()
    except OSError:
        pass
    finally:
        near.close()
        far.close()


def _accept(listener: socket.socket) -> None:
    while True:
        near, _address = listener.accept()
        threading.Thread(target=_join, args=(near,), daemon=True).start()


def start() -> str:
    """Start the relay in threads; return the proxy's URL. Waits for the proxy to be there."""
    deadline = time.monotonic() + 15
    while not os.path.exists(PROXY) and time.monotonic() < deadline:
        time.sleep(0.02)
    listener = socket.socket(socket.AF_INET)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    return "http://127.0.0.1:%d" % listener.getsockname()[1]
