"""Running git for the git tools: in the helper container, never in the container of the agent.

The gitdir is the platform's own, so nothing that a repository configures is read: no hooks, filters, pagers, external
diffs or signing programs. Every parameter is checked before it stands in an argv, behind ``--end-of-options`` or
``--``; a path stands there as a literal.
"""

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from hypercode.domain.errors import InvalidArgument
from hypercode.mcp_protocol.caps import HARD_CAP
from hypercode.sandbox.base import ExecRequest, ExecResult, Profile, StartSandbox
from hypercode.tools.registry import ToolContext

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
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_PAGER": "cat",
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
}

_ALWAYS = (
    "--no-pager",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "submodule.recurse=false",
    "-c",
    "diff.ignoreSubmodules=all",
    "-c",
    "log.showSignature=false",
    "-c",
    "core.protectHFS=true",
    "-c",
    "core.protectNTFS=true",
)

SAFE_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--ignore-submodules")
"""Options of everything that compares."""

_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z_./-]{0,199}([~^]\d{0,3})?")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def _revision(value: str) -> str:
    if not _REVISION.fullmatch(value) or ".." in value:
        raise ValueError("not a revision: give a commit's hash, a branch or HEAD")
    return value


def _branch(value: str) -> str:
    bad = ("..", "//", "/.", "./")
    if (
        not _BRANCH.fullmatch(value)
        or any(part in value for part in bad)
        or value.endswith((".", "/", ".lock"))
    ):
        raise ValueError("not a branch's name: letters, digits, '.', '_', '/', '-'")
    if value == "HEAD" or value.startswith("refs/") or re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value):
        raise ValueError("this name would be taken for something else")
    return value


Revision = Annotated[str, AfterValidator(_revision)]
"""A commit as a caller may name it: nothing that could be an option, a range or a path."""

Branch = Annotated[str, AfterValidator(_branch)]
"""A branch's short name."""


_LEFT_LOCK = re.compile(r"Unable to create '(/gitdir/[^'\n]+\.lock)': File exists")

_REMOVE_LEFT_LOCK = """
import os, pathlib, sys, time

def running():
    for each in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if each.read_text().startswith("git"):
                return True
        except OSError:
            pass
    return False

def seen(path):
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns

for _ in range(100):
    before = seen(sys.argv[1])
    if before is None:
        break
    if not running():
        if seen(sys.argv[1]) == before:
            os.unlink(sys.argv[1])
        break
    time.sleep(0.05)
"""
"""Whoever made the lock that is seen first either runs when the processes are looked at, or was killed."""


async def git(context: ToolContext, *args: str, stdin: str = "", max_output: int = HARD_CAP) -> ExecResult:
    """Run git in the helper of the run's workspace; starting it again returns the one that runs.

    A git that is killed with its call leaves its lock, on which every later one would fail: such a lock is removed.
    """
    helper = await context.sandboxes.start(
        StartSandbox(
            profile=Profile.HELPER, owner=context.grant.run_id, workspace_id=context.grant.workspace_id
        )
    )
    request = ExecRequest(
        argv=["git", *_ALWAYS, *args], env=GIT_ENV, stdin=stdin, timeout_s=60, max_output=max_output
    )
    done = await context.sandboxes.exec(helper.sandbox_id, request)
    if done.exit_code == 0 or (left := _LEFT_LOCK.search(done.stderr)) is None:
        return done
    remove = ExecRequest(argv=["python3", "-I", "-c", _REMOVE_LEFT_LOCK, left.group(1)], timeout_s=30)
    await context.sandboxes.exec(helper.sandbox_id, remove)
    return await context.sandboxes.exec(helper.sandbox_id, request)


def checked(done: ExecResult, verb: str) -> ExecResult:
    """Return what git did when it went well; raises InvalidArgument with git's own words."""
    if done.exit_code != 0:
        raise InvalidArgument(f"git {verb} failed: {done.stderr.strip()[-500:]}")
    return done


async def output(context: ToolContext, *args: str) -> str:
    """Run git, and return its output; raises InvalidArgument with git's own words."""
    return checked(await git(context, *args), args[0]).stdout


async def resolved(context: ToolContext, revision: str) -> str:
    """Return the hash of the commit that a revision names; raises InvalidArgument."""
    done = await git(context, "rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}")
    if done.exit_code != 0:
        raise InvalidArgument(f"there is no commit {revision!r}")
    return done.stdout.strip()


def literal(paths: Sequence[str]) -> list[str]:
    """Return pathspecs that mean exactly these paths; none for the whole tree."""
    return [] if "." in paths else [f":(top,literal){path}" for path in paths]
