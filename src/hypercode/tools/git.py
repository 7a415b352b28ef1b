"""git_add, git_commit, git_branch, git_restore: commits and branches in the platform's own gitdir.

There are no remotes and no push. Files are written to the work tree by sandboxd's confined code, not by git.
"""

from typing import Literal

from pydantic import Field, model_validator

from hypercode.domain.errors import Conflict, InvalidArgument, NotFound
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.caps import cap_text
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.worktrees import RestorePaths, SwitchBranch
from hypercode.tools.git_read import GIT_READ_TOOLS
from hypercode.tools.git_run import Branch, Revision, git, literal, output, resolved
from hypercode.tools.registry import Tool, ToolContext, ToolReply

_Paths = Field(min_length=1, max_length=200)


class AddArguments(Arguments):
    """Which paths to stage: files, or directories with everything below; deletions are staged too."""

    paths: list[WorkspacePath] = _Paths


class Staged(Closed):
    """The paths that the next commit would change."""

    staged: list[str]
    truncated: bool


async def git_add(context: ToolContext, args: AddArguments) -> ToolReply:
    """Stage paths for git_commit with ``all`` false."""
    await _add(context, args.paths)
    names = await output(
        context, "diff", "--cached", "--name-only", "-z", "--no-renames", "--ignore-submodules", "--"
    )
    staged = [name for name in names.split("\0") if name]
    result = Staged(staged=staged[:1000], truncated=len(staged) > 1000)
    return ToolReply(
        result, cap_text("Staged:\n" + "\n".join(result.staged) if staged else "Nothing is staged.")[0]
    )


async def _add(context: ToolContext, paths: list[str]) -> None:
    done = await git(context, "add", "--all", "--", *(literal(paths) or ["."]))
    if done.exit_code == 0:
        return
    words = done.stderr.strip()[-500:]
    raise (
        NotFound(words) if "did not match any files" in words else InvalidArgument(f"git add failed: {words}")
    )


class CommitArguments(Arguments):
    """By default everything in the work tree. ``all`` false: what is staged. ``paths``: these alone."""

    message: str = Field(min_length=1, max_length=10_000)
    all: bool = Field(default=True, description="Commit everything; false: only what git_add staged.")
    paths: list[WorkspacePath] = Field(
        default_factory=list,
        max_length=200,
        description="Commit these paths as they are now, and nothing else that is changed or staged.",
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "CommitArguments":
        if self.paths and not self.all:
            raise ValueError("give paths, or all as false for what is staged, not both")
        return self


class Committed(Closed):
    """The new commit."""

    commit: str
    files: int


async def git_commit(context: ToolContext, args: CommitArguments) -> ToolReply:
    """Commit in the platform's gitdir; raises Conflict when nothing has changed."""
    only = literal(args.paths)
    if args.all:
        await _add(context, args.paths or ["."])
    done = await git(
        context,
        "commit",
        "--quiet",
        "--no-verify",
        "--no-gpg-sign",
        "--no-status",
        "--cleanup=strip",
        "--file=-",
        *(["--only", "--", *only] if only else []),
        stdin=args.message,
    )
    if done.exit_code != 0:
        words = (done.stdout + done.stderr).strip()
        raise Conflict(f"nothing was committed: {words[-500:] or 'nothing has changed'}")
    commit = (await output(context, "rev-parse", "HEAD")).strip()
    names = await output(
        context, "diff-tree", "--no-commit-id", "--name-only", "-r", "-z", "--no-renames", "--root", commit
    )
    files = len([name for name in names.split("\0") if name])
    return ToolReply(Committed(commit=commit, files=files), f"Committed {files} files as {commit[:12]}.")


class BranchArguments(Arguments):
    """``list`` them, ``create`` one at the last commit, or ``switch`` to one with the work tree."""

    action: Literal["list", "create", "switch"]
    name: Branch | None = Field(default=None, description="For create and switch.")

    @model_validator(mode="after")
    def _has_its_name(self) -> "BranchArguments":
        if (self.name is None) != (self.action == "list"):
            raise ValueError("create and switch have a name, list has none")
        return self

    def touched(self) -> Touched:
        """The branch."""
        return Touched(ref=self.name)


class BranchSeen(Closed):
    """A branch, and its last commit."""

    name: str
    commit: str


class Branches(Closed):
    """All branches, and the one that is checked out; ``changed`` are the paths that a switch wrote or removed."""

    current: str | None
    branches: list[BranchSeen]
    changed: list[str]
    truncated: bool


async def git_branch(context: ToolContext, args: BranchArguments) -> ToolReply:
    """List, create or switch branches."""
    changed: list[str] = []
    if args.name is not None:
        there = await _exists(context, args.name)
        if args.action == "create":
            if there:
                raise Conflict(f"there is a branch {args.name} already")
            await output(context, "branch", "--no-track", "--end-of-options", args.name, "HEAD")
        else:
            if not there:
                raise NotFound(f"there is no branch {args.name}", hint="Create it first.")
            request = SwitchBranch(workspace_id=context.grant.workspace_id, name=args.name)
            changed = (await context.sandboxes.switch_branch(request)).paths
    return await _branches(context, changed)


async def _exists(context: ToolContext, name: str) -> bool:
    done = await git(context, "show-ref", "--verify", "--quiet", "--end-of-options", f"refs/heads/{name}")
    return done.exit_code == 0


async def _branches(context: ToolContext, changed: list[str]) -> ToolReply:
    current = (await git(context, "symbolic-ref", "--quiet", "--short", "HEAD")).stdout.strip() or None
    rows = await output(
        context, "for-each-ref", "--count=501", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/"
    )
    found = [row.split(" ", 1) for row in rows.splitlines()]
    branches = [BranchSeen(name=name, commit=commit) for commit, name in found[:500]]
    result = Branches(
        current=current,
        branches=branches,
        changed=changed[:500],
        truncated=len(found) > 500 or len(changed) > 500,
    )
    lines = [f"{'*' if each.name == current else ' '} {each.name} {each.commit[:12]}" for each in branches]
    lines += [f"changed {path}" for path in result.changed]
    return ToolReply(result, cap_text("\n".join(lines))[0])


class RestoreArguments(Arguments):
    """Which paths, and from which commit; by default the last one."""

    paths: list[WorkspacePath] = _Paths
    source: Revision = Field(default="HEAD", description="A commit.")

    def touched(self) -> Touched:
        """The paths."""
        return Touched(paths=tuple(self.paths))


class Restored(Closed):
    """The paths that were written or removed."""

    source: str
    paths: list[str]
    truncated: bool


async def git_restore(context: ToolContext, args: RestoreArguments) -> ToolReply:
    """Make paths what they were in a commit, staged or not; files that no commit knows stay."""
    commit = await resolved(context, args.source)
    done = await context.sandboxes.restore_paths(
        RestorePaths(workspace_id=context.grant.workspace_id, commit=commit, paths=args.paths)
    )
    result = Restored(source=commit, paths=done.paths[:1000], truncated=len(done.paths) > 1000)
    text = "\n".join(result.paths) or "They were as in that commit already."
    return ToolReply(result, cap_text(f"Restored from {commit[:12]}:\n{text}")[0])


GIT_TOOLS = (
    *GIT_READ_TOOLS,
    Tool(
        "git_add",
        "Stage paths for a commit of their own (git_commit with all=false).",
        AddArguments,
        Staged,
        git_add,
        read_only=False,
        idempotent=True,
        errors=("NOT_FOUND",),
    ),
    Tool(
        "git_commit",
        "Commit everything in the work tree, or what is staged, or some paths. The platform takes uncommitted work"
        " along too; this is for steps.",
        CommitArguments,
        Committed,
        git_commit,
        read_only=False,
        errors=("CONFLICT", "NOT_FOUND"),
    ),
    Tool(
        "git_branch",
        "List branches, create one at the last commit, or switch to one.",
        BranchArguments,
        Branches,
        git_branch,
        read_only=False,
        errors=("CONFLICT", "NOT_FOUND"),
    ),
    Tool(
        "git_restore",
        "Make paths, staged or not, what they were in a commit. What was not committed in them is lost.",
        RestoreArguments,
        Restored,
        git_restore,
        read_only=False,
        destructive=True,
        idempotent=True,
        errors=("CONFLICT", "NOT_FOUND"),
    ),
)
"""The group's tools."""
