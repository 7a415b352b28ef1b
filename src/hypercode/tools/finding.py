"""fs_search, fs_tree, fs_glob, fs_stat: finding things in the run's workspace, and facts about them."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from hypercode.mcp_protocol.caps import DEFAULT_CAP, HARD_CAP, cap_text
from hypercode.mcp_protocol.cursors import Paged
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.files import GlobRequest, PathFacts, SearchRequest, StatRequest, TreeEntry
from hypercode.tools.registry import Tool, ToolContext, ToolReply

ROOM = HARD_CAP * 3 // 4
"""Bytes that the lines of one page may have, so that no page is over the hard cap."""


class SearchArguments(Paged):
    """What to look for, as plain text or a regular expression, in files that match one of the globs."""

    pattern: str = Field(min_length=1, max_length=1000)
    regex: bool = False
    globs: list[str] = Field(default_factory=list, max_length=20)
    case: bool = Field(default=True, description="Whether upper and lower case differ.")
    context: int = Field(default=0, ge=0, le=5, description="Lines before and after each match.")
    max_results: int = Field(default=200, ge=1, le=1000)


class Match(Closed):
    """One matching line."""

    path: str
    line: int
    text: str
    before: list[str]
    after: list[str]


class Matches(Closed):
    """Matching lines in path order."""

    matches: list[Match]
    truncated: bool
    next_cursor: str | None


async def fs_search(context: ToolContext, args: SearchArguments) -> ToolReply:
    """Search the text files of the workspace."""
    skip = context.position(args)
    found = await context.sandboxes.search(
        SearchRequest(
            sandbox_id=context.sandbox,
            pattern=args.pattern,
            regex=args.regex,
            globs=args.globs,
            case=args.case,
            context=args.context,
            limit=args.max_results,
            skip=skip,
        )
    )
    matches: list[Match] = []
    room = ROOM
    for hit in found.matches:
        room -= sum(len(line.encode()) + 8 for line in (hit.path, hit.text, *hit.before, *hit.after)) + 64
        if room < 0:
            break
        matches.append(Match(path=hit.path, line=hit.line, text=hit.text, before=hit.before, after=hit.after))
    more = found.truncated or len(matches) < len(found.matches)
    result = Matches(
        matches=matches,
        truncated=more,
        # A search that ran out of time before its first match has nowhere to go on from.
        next_cursor=context.next_cursor(args, skip + len(matches), more=more and bool(matches)),
    )
    text = "\n".join(_shown(hit) for hit in matches) or "No match."
    if more:
        text += "\n[there are more matches]"
    return ToolReply(result, cap_text(text)[0])


def _shown(hit: Match) -> str:
    if not (hit.before or hit.after):
        return f"{hit.path}:{hit.line}: {hit.text}"
    lines = [
        f"{hit.path}-{hit.line - len(hit.before) + index}- {text}" for index, text in enumerate(hit.before)
    ]
    lines.append(f"{hit.path}:{hit.line}: {hit.text}")
    lines += [f"{hit.path}-{hit.line + index}- {text}" for index, text in enumerate(hit.after, start=1)]
    return "\n".join([*lines, "--"])


class TreeArguments(Paged):
    """Which directory, and how deep."""

    path: WorkspacePath = "."
    depth: int = Field(default=3, ge=1, le=6)
    limit: int = Field(default=1000, ge=1, le=2000)
    include_sizes: bool = False


class Entry(Closed):
    """One file, directory or symlink."""

    path: str
    kind: str
    size: int | None


class Listing(Closed):
    """Entries in the order of their paths."""

    entries: list[Entry]
    truncated: bool
    next_cursor: str | None


async def fs_tree(context: ToolContext, args: TreeArguments) -> ToolReply:
    """List a directory."""
    skip = context.position(args)
    tree = await context.sandboxes.tree(context.sandbox, args.path, args.depth, args.limit, skip=skip)
    return _listing(context, args, tree.entries, more=tree.truncated, sizes=args.include_sizes, skip=skip)


class GlobArguments(Paged):
    """A pattern over whole paths: ``*`` and ``?`` stay in one name, ``**`` crosses directories."""

    pattern: WorkspacePath = Field(
        description="Over whole paths, like src/**/*.py: * and ? stay in one name, ** crosses directories. "
        "Folders of installed packages and caches are left out unless it names them."
    )
    limit: int = Field(default=500, ge=1, le=2000)


async def fs_glob(context: ToolContext, args: GlobArguments) -> ToolReply:
    """Find paths by a pattern."""
    skip = context.position(args)
    found = await context.sandboxes.glob(
        GlobRequest(sandbox_id=context.sandbox, pattern=args.pattern, limit=args.limit, skip=skip)
    )
    return _listing(context, args, found.entries, more=found.truncated, sizes=True, skip=skip)


def _listing(
    context: ToolContext, args: Paged, found: list[TreeEntry], *, more: bool, sizes: bool, skip: int
) -> ToolReply:
    entries: list[Entry] = []
    room = ROOM
    for each in found:
        room -= len(each.path.encode()) + 64
        if room < 0:
            break
        entries.append(Entry(path=each.path, kind=each.kind, size=each.size if sizes else None))
    more = more or len(entries) < len(found)
    text = "\n".join(
        entry.path + ("/" if entry.kind == "dir" else "") + ("" if entry.size is None else f" {entry.size}")
        for entry in entries
    )
    if more:
        text += "\n[there are more entries]"
    cursor = context.next_cursor(args, skip + len(entries), more=more)
    result = Listing(entries=entries, truncated=more, next_cursor=cursor)
    return ToolReply(result, cap_text(text or "Empty.", DEFAULT_CAP)[0])


class StatArguments(Arguments):
    """Which paths."""

    paths: list[WorkspacePath] = Field(min_length=1, max_length=200)


class Facts(Closed):
    """What is at a path; a link itself, not what it leads to."""

    path: str
    kind: Literal["file", "dir", "symlink", "other", "missing"]
    size: int
    mode: str = Field(description="Octal, like 0644.")
    modified_at: str | None
    links_to: str | None


class Stats(Closed):
    """One for each path, in the same order."""

    entries: list[Facts]


async def fs_stat(context: ToolContext, args: StatArguments) -> ToolReply:
    """Say what is at some paths."""
    found = await context.sandboxes.stat(StatRequest(sandbox_id=context.sandbox, paths=args.paths))
    entries = [_facts(each) for each in found.entries]
    lines = [
        f"{each.path}: {each.kind}"
        + (f" -> {each.links_to}" if each.links_to else "")
        + ("" if each.kind == "missing" else f", {each.size} bytes, mode {each.mode}, {each.modified_at}")
        for each in entries
    ]
    return ToolReply(Stats(entries=entries), cap_text("\n".join(lines))[0])


def _facts(each: PathFacts) -> Facts:
    there = each.kind != "missing"
    modified = datetime.fromtimestamp(each.mtime_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return Facts(
        path=each.path,
        kind=each.kind,
        size=each.size,
        mode=f"{each.mode:04o}",
        modified_at=modified if there else None,
        links_to=each.links_to,
    )


FINDING_TOOLS = (
    Tool(
        "fs_search",
        "Search the text files of the workspace for a text or a regular expression.",
        SearchArguments,
        Matches,
        fs_search,
        read_only=True,
        repeatable=True,
    ),
    Tool(
        "fs_tree",
        "List a directory.",
        TreeArguments,
        Listing,
        fs_tree,
        read_only=True,
        repeatable=True,
        errors=("NOT_FOUND", "PATH_OUTSIDE"),
    ),
    Tool(
        "fs_glob",
        "Find files and directories whose path matches a pattern.",
        GlobArguments,
        Listing,
        fs_glob,
        read_only=True,
        repeatable=True,
        errors=("PATH_OUTSIDE",),
    ),
    Tool(
        "fs_stat",
        "Say what is at some paths: kind, size, mode, time.",
        StatArguments,
        Stats,
        fs_stat,
        read_only=True,
        repeatable=True,
        errors=("PATH_OUTSIDE",),
    ),
)
"""The group's tools."""
