"""Changing and finding files of a workspace: the types, and the verbs for them.

Every path is opened beneath the workspace in one step by the kernel; for what is written, no symbolic link is
followed on the way either.
"""

from typing import Literal, Protocol

from pydantic import Field

from hypercode.sandbox.strict import Strict

MAX_SKIP = 1_000_000


class FileChange(Strict):
    """One of several changes that are made together.

    ``write`` has ``data_b64`` (and ``mode``), ``rename`` has ``target``, which must not exist, ``mode`` has ``mode``.
    ``if_sha256`` guards the content that is there now; "" means: there must be none.
    """

    action: Literal["write", "delete", "rename", "mode"]
    path: str
    target: str | None = None
    data_b64: str | None = None
    mode: int | None = Field(default=None, ge=0, le=0o777)
    if_sha256: str | None = None


class ChangeRequest(Strict):
    """Make all of these changes, or none."""

    sandbox_id: str
    changes: list[FileChange] = Field(min_length=1, max_length=500)


class Changed(Strict):
    """How many changes were made."""

    changed: int


class MoveRequest(Strict):
    """Rename a file or directory; the target must not exist."""

    sandbox_id: str
    source: str
    target: str


class Moved(Strict):
    """It was moved."""

    moved: int


class DeleteRequest(Strict):
    """Delete a file, a link itself, or a directory: with ``recursive`` one that is not empty."""

    sandbox_id: str
    path: str
    recursive: bool = False


class Deleted(Strict):
    """How many files and directories went."""

    deleted: int


class StatRequest(Strict):
    """Ask about paths."""

    sandbox_id: str
    paths: list[str] = Field(min_length=1, max_length=1000)


class PathFacts(Strict):
    """What is at a path; a link is not followed, ``links_to`` is its text. Kind ``missing``: nothing is there."""

    path: str
    kind: Literal["file", "dir", "symlink", "other", "missing"]
    size: int
    mode: int
    mtime_ns: int
    links_to: str | None


class PathsFacts(Strict):
    """One for each path, in the same order."""

    entries: list[PathFacts]


class GlobRequest(Strict):
    """Find paths: ``*`` and ``?`` stay in a name, ``**`` crosses directories. ``skip`` leaves the first ones out."""

    sandbox_id: str
    pattern: str
    limit: int = Field(ge=1, le=100_000)
    skip: int = Field(default=0, ge=0, le=MAX_SKIP)


class TreeEntry(Strict):
    """One entry of a directory listing: kind is file, dir, symlink or other."""

    path: str
    kind: str
    size: int


class Tree(Strict):
    """A listing, cut at its limit when ``truncated``."""

    entries: list[TreeEntry]
    truncated: bool


class SearchRequest(Strict):
    """Search text files; with ``context``, the lines around each match come along."""

    sandbox_id: str
    pattern: str
    regex: bool = False
    globs: list[str] = Field(default_factory=list)
    case: bool = True
    context: int = Field(default=0, ge=0, le=5)
    limit: int = Field(ge=1, le=100_000)
    skip: int = Field(default=0, ge=0, le=MAX_SKIP)


class SearchMatch(Strict):
    """One matching line, 1-based, and those around it; each cut to 500 characters."""

    path: str
    line: int
    text: str
    before: list[str] = Field(default_factory=list)
    after: list[str] = Field(default_factory=list)


class SearchResult(Strict):
    """Matches in path order, cut at the limit when ``truncated``."""

    matches: list[SearchMatch]
    truncated: bool


class Files(Protocol):
    """The verbs for files beside ``read`` and ``write``."""

    async def change(self, request: ChangeRequest) -> Changed:
        """Change several files as one; raises Conflict when a guard does not hold, and nothing is changed."""
        ...

    async def move(self, request: MoveRequest) -> Moved:
        """Rename; raises Conflict when the target exists."""
        ...

    async def delete(self, request: DeleteRequest) -> Deleted:
        """Delete; no link is followed, whatever happens in the container meanwhile."""
        ...

    async def stat(self, request: StatRequest) -> PathsFacts:
        """Say what is at each path."""
        ...

    async def glob(self, request: GlobRequest) -> Tree:
        """List the paths that match a pattern, in order, .git left out."""
        ...

    async def tree(self, sandbox_id: str, path: str, depth: int, limit: int, *, skip: int = 0) -> Tree:
        """List a directory, .git left out."""
        ...

    async def search(self, request: SearchRequest) -> SearchResult:
        """Search text files, .git left out; a regular expression has 10 s."""
        ...
