"""Looking at a workspace's source before anything is made: what it is, and what to say when it won't do."""

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hypercode.domain.errors import InvalidArgument
from hypercode.sandbox.profiles import Mount

_COMMIT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/~^@{}-]{0,199}$")


@dataclass(frozen=True)
class Source:
    """How to import: the importer's kind, and the host paths it must see (read-only)."""

    kind: str
    mounts: list[Mount] = field(default_factory=list[Mount])
    note: str = ""


def checked_commit(commit: str | None) -> str | None:
    """Return a commit name that git can't take for an option; raises InvalidArgument."""
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise InvalidArgument(f"not the name of a commit: {commit[:80]!r}")
    return commit


def local_source(path_text: str) -> Source:
    """Return how to import a local path; raises InvalidArgument that says what is wrong with it."""
    path = Path(path_text)
    if not path.is_absolute():
        raise InvalidArgument(f"not an absolute path: {path_text}", hint="give the whole path of the project")
    if not path.exists():
        raise InvalidArgument(f"the path does not exist: {path_text}", hint="check the spelling")
    if not path.is_dir():
        raise InvalidArgument(
            f"the path is a file: {path_text}", hint="give the folder that holds the project"
        )
    path = path.resolve()
    if path == Path("/"):
        raise InvalidArgument("the root of the file system is no project", hint="give a project's folder")
    mounts = [Mount(str(path), "/src", True, "bind")]
    if (path / ".git").is_file():
        return Source("repository", [*mounts, *_linked_gitdir(path)])
    if (path / ".git").is_dir() or _is_bare(path):
        return Source("repository", mounts)
    if not any(path.iterdir()):
        raise InvalidArgument(
            f"the folder is empty: {path_text}", hint="put the project's files into it first"
        )
    outer = next((parent for parent in path.parents if (parent / ".git").exists()), None)
    note = f"a folder inside the repository {outer}, whose history is left out" if outer else ""
    return Source("folder", mounts, note)


def _is_bare(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _linked_gitdir(path: Path) -> list[Mount]:
    """A linked work tree keeps its repository elsewhere: show that to the import at the same path."""
    words = (path / ".git").read_text(errors="replace").strip()
    gitdir = Path(words.removeprefix("gitdir:").strip())
    gitdir = gitdir if gitdir.is_absolute() else (path / gitdir).resolve()
    if not words.startswith("gitdir:") or not gitdir.is_dir():
        raise InvalidArgument(
            f"{path}/.git points to no repository", hint="repair it with `git worktree repair`"
        )
    if not (Path(words.removeprefix("gitdir:").strip())).is_absolute():
        raise InvalidArgument(
            f"{path} is a submodule or has a relative gitdir", hint="clone it on its own and use the clone"
        )
    common = gitdir
    if (gitdir / "commondir").is_file():
        common = (gitdir / (gitdir / "commondir").read_text().strip()).resolve()
    return [Mount(str(common), str(common), True, "bind")]


def checked_url(url: str) -> str:
    """Return a URL that may be fetched: https, a public host, no credentials; raises InvalidArgument."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidArgument(
            "only https URLs can be imported", hint="use the https address of the repository"
        )
    if parts.username or parts.password:
        raise InvalidArgument("the URL holds credentials", hint="remove them from the address")
    try:
        port = parts.port or 443
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as failure:
        raise InvalidArgument(f"the host {parts.hostname} can't be found", hint="check the URL") from failure
    for entry in found:
        if not ipaddress.ip_address(entry[4][0]).is_global:
            raise InvalidArgument(
                f"the host {parts.hostname} has a private address", hint="import from a public host or a path"
            )
    return url
