"""The allow-listing proxy: CONNECT to named hosts on port 443 and nothing else.

Runs in a container of its own, the only one with a way out. Its argument is JSON: the allowed hosts, and the TCP
port to listen on; without one it listens on a unix socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

SOCKET = "/egress/proxy.sock"
MAX_HEAD = 16 * 1024


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            part = await reader.read(1 << 16)
            if not part:
                break
            writer.write(part)
            await writer.drain()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()


async def _target(
    line: str, allowed: frozenset[str], public_only: bool
) -> tuple[tuple[str, int] | None, str]:
    """Return (host, port) to connect to, or a refusal (status, words)."""
    parts = line.split()
    if len(parts) != 3 or parts[0] != "CONNECT":
        return None, "405 only CONNECT is served"
    host, _, port = parts[1].rpartition(":")
    host = host.strip("[]").lower()
    if host not in allowed:
        return None, "403 the host %s is not allowed" % host
    if port != "443":
        return None, "403 only port 443 is allowed"
    if public_only:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        if not all(ipaddress.ip_address(address).is_global for address in addresses):
            return None, "403 the host %s has a private address" % host
        return (addresses[0], 443), ""
    return (host, 443), ""


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: frozenset[str], public_only: bool
) -> None:
    upstream: asyncio.StreamWriter | None = None
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        target, refusal = await _target(line, allowed, public_only)
        if target is None:
            writer.write(("HTTP/1.1 %s\r\nConnection: close\r\n\r\n" % refusal).encode())
            await writer.drain()
            return
        far_reader, upstream = await asyncio.wait_for(asyncio.open_connection(*target), 30)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pump(reader, upstream), _pump(far_reader, writer))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
        with contextlib.suppress(OSError, RuntimeError):
            writer.write(b"HTTP/1.1 502 the host can't be reached\r\nConnection: close\r\n\r\n")
    finally:
        for each in (upstream, writer):
            if each is not None:
                each.close()


async def serve(allowed: frozenset[str], public_only: bool, port: int | None) -> None:
    """Serve until the container is stopped."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(reader, writer, allowed, public_only)

    if port is None:
        server: asyncio.AbstractServer = await asyncio.start_unix_server(accept, SOCKET, limit=MAX_HEAD)
        os.chmod(SOCKET, 0o666)
    else:
        server = await asyncio.start_server(accept, "0.0.0.0", port, limit=MAX_HEAD)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    _asked: dict[str, Any] = json.loads(sys.argv[1])
    _hosts = frozenset(host.lower() for host in _asked["hosts"])
    asyncio.run(serve(_hosts, bool(_asked["public_only"]), _asked.get("port")))
