"""The gateway's TCP port, taken before anything else is started: a port in use is found at once."""

import socket

from hypercode.domain.errors import Conflict
from hypercode.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """Take the TCP port; raises Conflict when another program has it."""
    host, port = settings.gateway.host, settings.gateway.port
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(
            f"Port {port} on {host} can't be used: {error.strerror}.",
            hint=f"Stop the program that uses it, or choose another: hypercode up --port {port + 1}",
        ) from error
    return listener
