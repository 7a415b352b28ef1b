"""Joins stdin and stdout to a port of the container's own loopback: how an app inside is reached from outside.

The first byte says whether somebody listens: ``+`` or ``-``.
"""

from __future__ import annotations

import _socket
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import relay


def _connected(port: int) -> _socket.socket | None:
    for family, address in ((_socket.AF_INET, "127.0.0.1"), (_socket.AF_INET6, "::1")):
        try:
            connection = _socket.socket(family)
        except OSError:
            continue
        try:
            connection.connect((address, port))
        except OSError:
            connection.close()
        else:
            return connection
    return None


def main() -> None:
    """Join until either side ends."""
    connection = _connected(int(sys.argv[1]))
    os.write(1, b"-" if connection is None else b"+")
    if connection is not None:
        relay.join(connection.fileno())


if __name__ == "__main__":
    main()
