"""git_status, git_diff, git_log, git_show, git_blame: what git knows of the run's work."""

import re
from typing import Literal

from pydantic import Field

from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.mcp_protocol.caps import HARD_CAP, cap_text
from hypercode.mcp_protocol.cursors import Paged
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.tools.git_run import BASE, SAFE_DIFF, Revision, checked, git, literal, output, resolved
from hypercode.tools.registry import Tool, ToolContext, ToolReply

_STATES = {
    "?": "untracked",
    "A": "added",
    "D": "deleted",
    "M": "modified",
    "T": "modified",
    "U": "conflicted",
}


class StatusArguments(Arguments):
    """Nothing to choose."""


class Changed(Closed):
    """A path that differs from the last commit."""

    path: str
    status: Literal["untracked", "added", "deleted", "modified", "conflicted"]


class Status(Closed):
    """The last commit, the one that the run started from, and what has changed since the last."""

    head: str
    base: str
    branch: str | None
    clean: bool
    changes: list[Changed]
    truncated: bool


async def git_status(context: ToolContext, _: StatusArguments) -> ToolReply:
    """Show which paths have changed since the last commit."""
    head, base, branch = (
        await output(context, "rev-parse", "HEAD", BASE, "--symbolic-full-name", "HEAD")
    ).split()
    options = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules")
    done = checked(await git(context, "status", *options), "status")
    entries = [entry for entry in done.stdout.split("\0") if len(entry) > 3]
    changes = [Changed(path=entry[3:], status=_state(entry[:2])) for entry in entries[:1000]]  # type: ignore[arg-type]
    result = Status(
        head=head,
        base=base,
        branch=branch.removeprefix("refs/heads/") if branch.startswith("refs/heads/") else None,
        clean=not entries,
        changes=changes,
        truncated=done.truncated or len(entries) > len(changes),
    )
    text = "\n".join(f"{change.status} {change.path}" for change in changes) or "Nothing has changed."
    return ToolReply(result, cap_text(f"HEAD {head[:12]}, base {base[:12]}\n{text}")[0])


def _state(letters: str) -> str:
    for letter in "U?DA":
        if letter in letters:
            return _STATES[letter]
    return "modified"


class DiffArguments(Arguments):
    """Compare the work tree (or, ``staged``, the index) with a commit; by default where the run started."""

    base: Revision | None = None
    staged: bool = False
    paths: list[WorkspacePath] = Field(default_factory=list, max_length=100)
    stat_only: bool = False


class Diff(Closed):
    """A unified diff; new files that no commit knows are named in ``untracked``, their content is left out."""

    base: str
    diff: str
    untracked: list[str]
    truncated: bool


async def git_diff(context: ToolContext, args: DiffArguments) -> ToolReply:
    """Show what has changed since a commit."""
    commit = await resolved(context, args.base or BASE)
    paths = literal(args.paths)
    shape = ["--stat=120"] if args.stat_only else ["--patch"]
    staged = ["--cached"] if args.staged else []
    diff = checked(
        await git(
            context, "diff", *SAFE_DIFF, *shape, *staged, commit, "--", *paths, max_output=HARD_CAP // 2
        ),
        "diff",
    )
    others = await output(context, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
    untracked = [path for path in others.split("\0") if path][:500]
    text, cut = cap_text(diff.stdout or "No difference in tracked files.")
    if untracked:
        text += "\nUntracked: " + cap_text(", ".join(untracked), 4000)[0]
    result = Diff(
        base=commit,
        diff=cap_text(diff.stdout, HARD_CAP // 2)[0],
        untracked=untracked,
        truncated=diff.truncated or cut,
    )
    return ToolReply(result, text)


class LogArguments(Paged):
    """Commits that lead to a revision, the newest first; with ``paths``, those that changed one of them."""

    revision: Revision = "HEAD"
    paths: list[WorkspacePath] = Field(default_factory=list, max_length=100)
    limit: int = Field(default=50, ge=1, le=500)


class Commit(Closed):
    """One commit. Author, subject and body are the repository's words."""

    commit: str
    parents: list[str]
    author: str
    email: str
    authored_at: str
    subject: str


class Log(Closed):
    """Commits, the newest first."""

    commits: list[Commit]
    truncated: bool
    next_cursor: str | None


_FIELDS = "%H%x00%P%x00%an%x00%ae%x00%aI%x00%s"


async def git_log(context: ToolContext, args: LogArguments) -> ToolReply:
    """List commits."""
    skip = context.position(args)
    commit = await resolved(context, args.revision)
    found = await _commits(
        context, f"--skip={skip}", f"--max-count={args.limit + 1}", commit, "--", *literal(args.paths)
    )
    commits = found[: args.limit]
    more = len(found) > len(commits)
    cursor = context.next_cursor(args, skip + len(commits), more=more)
    text = "\n".join(
        f"{each.commit[:12]} {each.authored_at[:10]} {each.author}: {each.subject}" for each in commits
    )
    if more:
        text += "\n[there are more commits]"
    return ToolReply(
        Log(commits=commits, truncated=more, next_cursor=cursor), cap_text(text or "No commit.")[0]
    )


async def _commits(context: ToolContext, *args: str) -> list[Commit]:
    done = await output(context, "log", "-z", f"--format=tformat:{_FIELDS}", "--no-show-signature", *args)
    fields = done.split("\0")
    rows = [fields[start : start + 6] for start in range(0, len(fields) - 5, 6)]
    return [
        Commit(
            commit=row[0].strip(),
            parents=row[1].split(),
            author=row[2][:200],
            email=row[3][:200],
            authored_at=row[4],
            subject=row[5][:300],
        )
        for row in rows
    ]


class ShowArguments(Arguments):
    """A commit with its diff; with ``file``, that file as it was in it."""

    revision: Revision = "HEAD"
    paths: list[WorkspacePath] = Field(default_factory=list, max_length=100)
    file: WorkspacePath | None = None
    stat_only: bool = False


class Shown(Closed):
    """A commit, its message, and the diff from its first parent or, where asked for, a file's content."""

    commit: Commit
    message: str
    diff: str | None
    content: str | None
    truncated: bool


async def git_show(context: ToolContext, args: ShowArguments) -> ToolReply:
    """Show a commit, or a file as it was in it."""
    commit = await resolved(context, args.revision)
    (facts,) = await _commits(context, "--max-count=1", commit, "--")
    message = cap_text(
        await output(context, "log", "--max-count=1", "--format=tformat:%B", commit, "--"), 16_384
    )[0]
    if args.file is not None:
        return await _file_then(context, args.file, facts, message)
    shape = ["--stat=120"] if args.stat_only else ["--patch"]
    done = checked(
        await git(
            context,
            "diff-tree",
            "--root",
            "-r",
            "-m",
            "--first-parent",
            "--no-commit-id",
            *SAFE_DIFF,
            *shape,
            commit,
            "--",
            *literal(args.paths),
            max_output=HARD_CAP // 2,
        ),
        "diff-tree",
    )
    diff, cut = cap_text(done.stdout, HARD_CAP // 2)
    truncated = cut or done.truncated
    result = Shown(commit=facts, message=message, diff=diff, content=None, truncated=truncated)
    head = f"{facts.commit}\n{facts.author} <{facts.email}>, {facts.authored_at}\n\n{message}\n"
    return ToolReply(result, cap_text(head + diff)[0])


async def _file_then(context: ToolContext, path: str, facts: Commit, message: str) -> ToolReply:
    rows = await output(
        context, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", facts.commit, "--", path
    )
    found = re.match(r"(\d{6}) blob ([0-9a-f]{40,64})\t", rows)
    if found is None or found[1] == "120000":
        raise NotFound(f"there is no file {path} in {facts.commit[:12]}")
    done = checked(await git(context, "cat-file", "blob", found[2], max_output=HARD_CAP // 2), "cat-file")
    if "\0" in done.stdout[:8192]:
        raise InvalidArgument(f"{path} is a binary file")
    content, cut = cap_text(done.stdout, HARD_CAP // 2)
    result = Shown(commit=facts, message=message, diff=None, content=content, truncated=cut or done.truncated)
    return ToolReply(result, cap_text(f"{path} in {facts.commit[:12]}:\n{content}")[0])


class BlameArguments(Arguments):
    """Which lines of which file; without ``revision``, as they are in the work tree now."""

    path: WorkspacePath
    revision: Revision | None = None
    start_line: int = Field(default=1, ge=1)
    max_lines: int = Field(default=200, ge=1, le=1000)


class BlamedLine(Closed):
    """A line, and the commit that it comes from; None: it is not committed."""

    line: int
    commit: str | None
    author: str
    authored_at: int = Field(description="Seconds since 1970.")
    text: str


class Blame(Closed):
    """Lines in order."""

    path: str
    lines: list[BlamedLine]
    truncated: bool


async def git_blame(context: ToolContext, args: BlameArguments) -> ToolReply:
    """Say which commit each line comes from."""
    commit = [] if args.revision is None else [await resolved(context, args.revision)]
    lines = f"-L{args.start_line},+{args.max_lines}"
    done = await git(
        context, "blame", "--line-porcelain", "--no-textconv", lines, *commit, "--", args.path,
        max_output=4 * HARD_CAP,
    )  # fmt: skip
    if done.exit_code != 0:
        raise InvalidArgument(f"git blame failed: {done.stderr.strip()[-300:]}")
    found = _blamed(done.stdout)
    kept = found[: args.max_lines]
    text = "\n".join(
        f"{(each.commit or '-' * 12)[:12]} {each.author[:20]:20} {each.line}: {each.text}" for each in kept
    )
    result = Blame(path=args.path, lines=kept, truncated=done.truncated or len(found) > len(kept))
    return ToolReply(result, cap_text(text)[0])


def _blamed(text: str) -> list[BlamedLine]:
    found: list[BlamedLine] = []
    facts: dict[str, str] = {}
    head: list[str] = []
    for line in text.split("\n"):
        if line.startswith("\t"):
            if len(head) < 3 or not facts.get("author-time", "0").isdigit():
                continue
            found.append(
                BlamedLine(
                    line=int(head[2]),
                    commit=head[0] if head[0].strip("0") else None,
                    author=facts.get("author", "")[:200],
                    authored_at=int(facts.get("author-time", "0")),
                    text=line[1:][:500],
                )
            )
            facts = {}
        elif re.match(r"[0-9a-f]{40,64} \d+ \d+", line):
            head = line.split(" ")
        else:
            name, _, value = line.partition(" ")
            facts[name] = value
    return found


GIT_READ_TOOLS = (
    Tool(
        "git_status",
        "Show which paths have changed since the last commit.",
        StatusArguments,
        Status,
        git_status,
        read_only=True,
    ),
    Tool(
        "git_diff",
        "Show what has changed since the run started, or since another commit.",
        DiffArguments,
        Diff,
        git_diff,
        read_only=True,
    ),
    Tool(
        "git_log",
        "List commits, the newest first.",
        LogArguments,
        Log,
        git_log,
        read_only=True,
    ),
    Tool(
        "git_show",
        "Show a commit with its diff, or a file as it was in a commit.",
        ShowArguments,
        Shown,
        git_show,
        read_only=True,
        errors=("NOT_FOUND",),
    ),
    Tool(
        "git_blame",
        "Say which commit each line of a file comes from.",
        BlameArguments,
        Blame,
        git_blame,
        read_only=True,
    ),
)
"""The group's reading half."""
