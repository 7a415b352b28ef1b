"""git_*: git over the run's work tree, in the helper container, never in the container of the agent.

The gitdir is the platform's own, so nothing that a repository configures is read. Every parameter is
checked before it stands in an argv, and stands behind ``--end-of-options`` or ``--`` there.
"""

import re
from typing import Literal

from pydantic import Field, field_validator

from hypercode.domain.errors import Conflict, InvalidArgument
from hypercode.mcp_protocol.caps import HARD_CAP, cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.base import ExecRequest, ExecResult, Profile, StartSandbox
from hypercode.tools.registry import Tool, ToolContext, ToolReply

BASE = "refs/hypercode/base"
"""Where the gitdir keeps the commit that the run started from."""

GIT_ENV = {
    "GIT_DIR": "/gitdir",
    "GIT_WORK_TREE": "/workspace",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/opt/hypercode/runner/gitconfig",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
}

_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_./-]{0,199}([~^]\d{0,3})?")
_STATES = {
    "?": "untracked",
    "A": "added",
    "D": "deleted",
    "M": "modified",
    "T": "modified",
    "U": "conflicted",
}

Output = ExecResult


async def _git(context: ToolContext, *args: str, stdin: str = "", max_output: int = HARD_CAP) -> Output:
    """Run git in the helper of the run's workspace; starting it again returns the one that runs."""
    helper = await context.sandboxes.start(
        StartSandbox(
            profile=Profile.HELPER, owner=context.grant.run_id, workspace_id=context.grant.workspace_id
        )
    )
    request = ExecRequest(
        argv=["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *args],
        env=GIT_ENV,
        stdin=stdin,
        timeout_s=60,
        max_output=max_output,
    )
    return await context.sandboxes.exec(helper.sandbox_id, request)


async def _lines(context: ToolContext, *args: str) -> str:
    """Run git, and return its output; raises InvalidArgument with git's own words."""
    done = await _git(context, *args)
    if done.exit_code != 0:
        raise InvalidArgument(f"git {args[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


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
    clean: bool
    changes: list[Changed]
    truncated: bool


async def git_status(context: ToolContext, _: StatusArguments) -> ToolReply:
    """Show which paths have changed since the last commit."""
    head = (await _lines(context, "rev-parse", "HEAD")).strip()
    base = (await _lines(context, "rev-parse", BASE)).strip()
    done = await _git(
        context,
        "status",
        "--porcelain=v1",
        "-z",
        "--untracked-files=all",
        "--no-renames",
        "--ignore-submodules",
    )
    if done.exit_code != 0:
        raise InvalidArgument(f"git status failed: {done.stderr.strip()[-500:]}")
    entries = [entry for entry in done.stdout.split("\0") if len(entry) > 3]
    changes = [Changed(path=entry[3:], status=_state(entry[:2])) for entry in entries[:1000]]  # type: ignore[arg-type]
    result = Status(
        head=head,
        base=base,
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

    base: str | None = None
    staged: bool = False
    paths: list[WorkspacePath] = Field(default_factory=list, max_length=100)
    stat_only: bool = False

    @field_validator("base")
    @classmethod
    def _revision(cls, base: str | None) -> str | None:
        if base is not None and (not _REVISION.fullmatch(base) or ".." in base):
            raise ValueError("not a revision: give a commit's hash or HEAD")
        return base


class Diff(Closed):
    """A unified diff; new files that no commit knows are named in ``untracked``, their content is left out."""

    base: str
    diff: str
    untracked: list[str]
    truncated: bool


async def git_diff(context: ToolContext, args: DiffArguments) -> ToolReply:
    """Show what has changed since a commit."""
    commit = (
        await _lines(
            context, "rev-parse", "--verify", "--quiet", "--end-of-options", (args.base or BASE) + "^{commit}"
        )
    ).strip()
    paths = [f":(top,literal){path}" for path in args.paths if path != "."]
    shape = ["--stat=120"] if args.stat_only else ["--patch"]
    staged = ["--cached"] if args.staged else []
    safe = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules"]
    diff = await _git(context, "diff", *safe, *shape, *staged, commit, "--", *paths, max_output=HARD_CAP // 2)
    if diff.exit_code != 0:
        raise InvalidArgument(f"git diff failed: {diff.stderr.strip()[-500:]}")
    others = await _lines(context, "ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
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


class CommitArguments(Arguments):
    """Commit everything in the work tree."""

    message: str = Field(min_length=1, max_length=10_000)


class Committed(Closed):
    """The new commit."""

    commit: str
    files: int


async def git_commit(context: ToolContext, args: CommitArguments) -> ToolReply:
    """Commit the work tree in the platform's gitdir; raises Conflict when nothing has changed."""
    await _lines(context, "add", "--all", "--", ".")
    done = await _git(
        context,
        "commit",
        "--quiet",
        "--no-verify",
        "--no-gpg-sign",
        "--cleanup=strip",
        "--file=-",
        stdin=args.message,
    )
    if done.exit_code != 0:
        words = (done.stdout + done.stderr).strip()
        raise Conflict(f"nothing was committed: {words[-500:] or 'nothing has changed'}")
    commit = (await _lines(context, "rev-parse", "HEAD")).strip()
    names = await _lines(
        context, "diff-tree", "--no-commit-id", "--name-only", "-r", "-z", "--no-renames", "--root", commit
    )
    files = len([name for name in names.split("\0") if name])
    return ToolReply(Committed(commit=commit, files=files), f"Committed {files} files as {commit[:12]}.")


GIT_TOOLS = (
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
        "git_commit",
        "Commit everything in the work tree. The platform takes uncommitted work along too; this is for steps.",
        CommitArguments,
        Committed,
        git_commit,
        read_only=False,
    ),
)
"""The group's tools."""
