"""Where a project's code may come from. Everything here is asked by a person and used on our machine."""

import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from hypercode.domain.errors import InvalidArgument, PermissionDenied

ROOTS_SETTING = "HYPERCODE_GATEWAY__ALLOWED_ROOTS"
PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa")
LOOK_UP_S = 3.0


def local_source(path: str, allowed_roots: Sequence[Path], data_dir: Path) -> str:
    """Return the resolved directory; raises when it is outside the allowed roots or no directory."""
    if not allowed_roots:
        raise PermissionDenied(
            "This instance allows no projects from local paths.",
            hint=f"Whoever runs it can allow some: {ROOTS_SETTING}='[\"/srv/code\"]'.",
        )
    asked = Path(path)
    if not asked.is_absolute() or "\0" in path:
        raise InvalidArgument(f"{path!r} is not an absolute path.", hint="Give the path from the root on.")
    # Resolved first: a link inside an allowed root that leads out of it counts as outside.
    resolved = _resolve(asked)
    if not any(resolved.is_relative_to(_resolve(root)) for root in allowed_roots):
        raise PermissionDenied(
            f"{path} is outside the allowed roots.",
            hint=f"Allowed: {', '.join(str(root) for root in allowed_roots)}. Change {ROOTS_SETTING}.",
        )
    own = _resolve(data_dir)
    if resolved.is_relative_to(own) or own.is_relative_to(resolved):
        raise PermissionDenied(
            f"{path} holds this instance's own data or lies in it.", hint="Choose a project's directory."
        )
    if not resolved.is_dir():
        raise InvalidArgument(f"{path} is not a directory.", hint="Check the path on the machine we run on.")
    return str(resolved)


def _resolve(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise InvalidArgument(f"{path} can't be resolved: {error}.") from error


async def git_source(url: str) -> str:
    """Return the URL when it is a plain https one of a public host; raises InvalidArgument otherwise."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise InvalidArgument(f"{url!r} is not a URL: {error}.") from error
    if parts.scheme != "https" or not host:
        raise InvalidArgument(
            "Only https URLs of git repositories can be connected.",
            hint="Use the address that your git host shows for cloning over HTTPS.",
        )
    if parts.username is not None or parts.password is not None:
        # The URL itself is not repeated: it holds a secret.
        raise InvalidArgument("The URL holds credentials.", hint="Leave out everything before the @.")
    if parts.query or parts.fragment or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidArgument("The URL holds a query, a fragment, blanks or control characters.")
    await _refuse_private(host, port or 443)
    return url


async def _refuse_private(host: str, port: int) -> None:
    if ("." not in host and ":" not in host) or "%" in host or host.endswith(PRIVATE_SUFFIXES):
        raise _private(host)
    # The name may lead elsewhere by the time of the fetch, which checks again; this answer comes at once.
    for address in await _addresses(host, port):
        if not ipaddress.ip_address(address).is_global:
            raise _private(host)


def _private(host: str) -> InvalidArgument:
    return InvalidArgument(
        f"{host} is not a public address.",
        hint="Clone it on this machine and connect it as a local path instead.",
    )


async def _addresses(host: str, port: int) -> list[str]:
    with anyio.move_on_after(LOOK_UP_S):
        try:
            found = await to_thread.run_sync(
                lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), abandon_on_cancel=True
            )
        except (OSError, UnicodeError):
            return []
        return [str(entry[4][0]) for entry in found]
    return []
