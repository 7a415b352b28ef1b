"""Where a process of ours listens: a unix socket on one machine, ``http://host:port`` on a private network."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Address = Path | str
"""A path is a unix socket; text is a URL without a path."""


CONNECT_RETRIES = 5
"""How often a client tries again to connect, 0.5 s apart and then twice as long each: a process that was killed is
back within this time, and a request that was never sent may be sent again."""


def unix_socket(address: Address) -> str | None:
    """Return the path of the socket, None for a URL."""
    return str(address) if isinstance(address, Path) else None


def base_url(address: Address, name: str) -> str:
    """Return the URL that a client of the process ``name`` asks."""
    return f"http://{name}" if isinstance(address, Path) else address.rstrip("/")


def authority(address: Address, name: str) -> str:
    """Return what clients send as Host."""
    return urlsplit(base_url(address, name)).netloc


def port(address: str) -> int:
    """Return the TCP port of a URL; raises ValueError where it names none."""
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.hostname or parts.port is None or parts.path.strip("/"):
        raise ValueError(f"{address!r} is not of the form http://host:port")
    return parts.port


def binding(address: Address) -> dict[str, Any]:
    """Return uvicorn's arguments for the process that listens there: on a network, on all its interfaces."""
    if isinstance(address, Path):
        return {"uds": str(address)}
    return {"host": "0.0.0.0", "port": port(address)}
