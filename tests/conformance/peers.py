"""``make peers``: the file and git rows of the attack table on two published servers and on ours, side by side.

The servers are what their packages install, with their own defaults; each gets a throw-away folder. A verdict says what
was seen to happen, not what a server answered: whether text from outside came back, whether a file outside changed,
whether something of the repository's ran on the server's machine. Those two are made for a user's own files; several rows ask
for more than they promise.
"""

import logging
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anyio
import structlog
from tests.conformance.peers_targets import (
    CANARY,
    Ground,
    Ours,
    Said,
    Stdio,
    filesystem,
    git,
    git_server,
    made_ground,
    ours,
)
from tests.conformance.stand import postgres

HELD, NOT_APPLICABLE = "held", "no such tool"
Probe = Callable[[Ground, Any], Awaitable[str]]


def leaked(*said: Said, secret: str = CANARY) -> str:
    """Whether text from outside came back."""
    if any(each.hung for each in said):
        return "hangs"
    return "gives it out" if any(each.ok and secret in each.text + each.data for each in said) else HELD


def changed(ground: Ground) -> str:
    return HELD if ground.untouched() else "writes outside"


def ran(ground: Ground) -> str:
    return "runs it on the server's machine" if ground.marker.exists() else HELD


# server-filesystem


async def fs_f1(ground: Ground, server: Stdio) -> str:
    paths = [
        f"{ground.work}/../outside/secret.txt",
        str(ground.outside / "secret.txt"),
        "../outside/secret.txt",
    ]
    environment = [
        await server.call("read_text_file", path=p) for p in ("/proc/self/environ", "/proc/1/environ")
    ]
    secret = leaked(*[await server.call("read_text_file", path=path) for path in paths])
    return secret if secret != HELD else leaked(*environment, secret="PATH=")


async def fs_f2(ground: Ground, server: Stdio) -> str:
    return leaked(await server.call("read_text_file", path=f"{ground.work}-evil/secret.txt"))


async def fs_f3(ground: Ground, server: Stdio) -> str:
    (ground.work / "file").symlink_to(ground.outside / "secret.txt")
    (ground.work / "dir").symlink_to(ground.outside)
    (ground.work / "chain").symlink_to("file")
    said = [
        await server.call("read_text_file", path=str(ground.work / name))
        for name in ("file", "chain", "dir/secret.txt")
    ]
    await server.call("write_file", path=str(ground.work / "file"), content="x")
    await server.call("write_file", path=str(ground.work / "dir/new"), content="x")
    edits = [{"oldText": CANARY, "newText": "x"}]
    await server.call("edit_file", path=str(ground.work / "chain"), edits=edits)
    return leaked(*said) if leaked(*said) != HELD else changed(ground)


async def fs_f4(ground: Ground, server: Stdio) -> str:
    """The same path is read 2,000 times while it is swapped, 250 times a call."""
    target = ground.work / "swap"
    with Swapping(target, ground.outside / "secret.txt"):
        said = [await server.call("read_multiple_files", paths=[str(target)] * 250) for _ in range(8)]
    if any(each.hung for each in said):
        return "no answer in time"
    hits = sum(each.text.count(CANARY) for each in said)
    return f"gives it out ({hits:,} of 2,000 reads)" if hits else HELD


class Swapping:
    """Swaps a file for a symlink to outside, and back, as fast as it can."""

    def __init__(self, target: Path, outside: Path) -> None:
        self._target, self._outside, self._stop = target, outside, threading.Event()
        self._thread = threading.Thread(target=self._swap)

    def _swap(self) -> None:
        spare = self._target.with_name("spare")
        while not self._stop.is_set():
            spare.write_text("inside")
            spare.replace(self._target)
            spare.symlink_to(self._outside)
            spare.replace(self._target)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


async def fs_f5(ground: Ground, server: Stdio) -> str:
    (ground.work / "dangling").symlink_to(ground.outside / "new")
    await server.call("write_file", path=str(ground.work / "dangling"), content="x")
    await server.call("create_directory", path=str(ground.work / "dangling/deep"))
    return changed(ground)


async def fs_f6(ground: Ground, server: Stdio) -> str:
    (ground.work / "hard").hardlink_to(ground.outside / "secret.txt")
    return leaked(await server.call("read_text_file", path=str(ground.work / "hard")))


async def fs_f7(ground: Ground, server: Stdio) -> str:
    os.mkfifo(ground.work / "pipe")
    (ground.work / "huge").write_bytes(b"a" * 60_000_000)
    pipe = await server.call("read_text_file", path=str(ground.work / "pipe"))
    huge = await server.call("read_text_file", path=str(ground.work / "huge"))
    size = "no answer in 20 s" if huge.hung else f"{len(huge.text):,} characters"
    return f"FIFO: {'hangs' if pipe.hung else 'refused'}; 60 MB file: {size}"


async def fs_f8(ground: Ground, server: Stdio) -> str:
    made = []
    for name, word in (("a\0b", "NUL"), ("a\nb", "newline"), ("a\u202etxt.py", "bidi")):
        if (await server.call("write_file", path=f"{ground.work}/{name}", content="x")).ok:
            made.append(word)
    return f"makes names with {', '.join(made)}" if made else HELD


async def fs_f9(ground: Ground, server: Stdio) -> str:
    hook = await server.call("write_file", path=str(ground.work / ".git/hooks/pre-commit"), content="x")
    config = await server.call("write_file", path=str(ground.work / ".git/config"), content="[core]")
    return (
        f"writes {', '.join(n for n, s in (('hooks', hook), ('config', config)) if s.ok)}"
        if hook.ok
        else HELD
    )


# mcp-server-git


async def git_g1(ground: Ground, server: Stdio) -> str:
    repo = str(ground.work)
    for option in (f"--output={ground.outside}/pwned", f"--ext-diff --output={ground.outside}/pwned"):
        await server.call("git_diff", repo_path=repo, target=option)
        await server.call("git_show", repo_path=repo, revision=option)
        await server.call("git_checkout", repo_path=repo, branch_name=option)
        await server.call("git_log", repo_path=repo, start_timestamp=option)
        await server.call("git_branch", repo_path=repo, branch_type="local", contains=option)
    return changed(ground)


async def git_g2(ground: Ground, server: Stdio) -> str:
    other = str(ground.outside / "other")
    said = [await server.call("git_show", repo_path=other, revision="HEAD")]
    added = await server.call("git_add", repo_path=str(ground.work), files=["../outside/secret.txt"])
    await server.call("git_commit", repo_path=other, message="x")
    return "works on another repository" if said[0].ok or added.ok else changed(ground)


def armed(ground: Ground) -> None:
    """Let the repository name programs of its own in every place where git takes one."""
    script = ground.work / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch marker-here {ground.marker} 2>/dev/null\ncat\n")
    script.chmod(0o755)
    hook = ground.work / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    shutil.copy(script, hook)
    (ground.work / ".gitattributes").write_text("*.py diff=evil filter=evil\n")
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "filter.evil.clean", "core.pager"):
        git(ground.work, "config", key, "./evil.sh")
    (ground.work / "calc.py").write_text("changed\n")


async def git_g3(ground: Ground, server: Stdio) -> str:
    armed(ground)
    repo = str(ground.work)
    for tool, more in (
        ("git_status", {}),
        ("git_diff_unstaged", {}),
        ("git_show", {"revision": "HEAD"}),
        ("git_add", {"files": ["calc.py"]}),
        ("git_commit", {"message": "x"}),
    ):
        ground.marker.unlink(missing_ok=True)
        await server.call(tool, repo_path=repo, **more)
        if ground.marker.exists():
            return f"runs it on the server's machine ({tool} first)"
    return HELD


# HyperCode. What is outside is the container's own /etc; the server's machine is looked at with the marker.


async def hc_f1(_: Ground, server: Ours) -> str:
    paths = (
        "../../etc/passwd",
        "/etc/passwd",
        "/proc/self/environ",
        "/proc/1/environ",
        "~/x",
        "a/../../etc/passwd",
    )
    said = [await server.call("fs_read", path=path) for path in paths]
    return HELD if not any(each.ok for each in said) else "gives it out"


async def hc_f2(_: Ground, server: Ours) -> str:
    return (
        HELD if not (await server.call("fs_read", path="/workspace-evil/secret.txt")).ok else "gives it out"
    )


async def hc_f3(_: Ground, server: Ours) -> str:
    await server.shell("ln -s /etc/passwd file; ln -s /etc dir; ln -s file chain; ln -s /tmp out")
    said = [await server.call("fs_read", path=path) for path in ("file", "chain", "dir/passwd")]
    await server.call("fs_write", path="out/new", content="x")
    await server.call("fs_write", path="file", content="x")
    await server.call("fs_edit", path="chain", edits=[{"old": "root", "new": "x"}])
    outside = await server.shell("ls /tmp/new; grep -c ^root: /etc/passwd")
    return leaked(*said, secret="root:") if "1" in outside else "writes outside"


async def hc_f4(_: Ground, server: Ours) -> str:
    """2,000 reads, one call each, while a process in the container swaps the path."""
    swap = "while [ ! -e stop ]; do echo inside > s1; mv -f s1 swap; ln -sfn /etc/passwd s1; mv -fT s1 swap; done"
    found: list[Said] = []

    async def read(times: int) -> None:
        for _ in range(times):
            found.append(await server.call("fs_read", path="swap"))

    async with anyio.create_task_group() as group:
        group.start_soon(server.shell, swap)
        async with anyio.create_task_group() as readers:
            for _ in range(8):
                readers.start_soon(read, 250)
        await server.call("fs_write", path="stop", content="")
    hits = sum(each.ok and "root:" in each.text for each in found)
    read_well = sum(each.ok for each in found)
    return (
        f"gives it out ({hits} of 2,000 reads)"
        if hits
        else f"{HELD} ({read_well} of 2,000 reads saw the file)"
    )


async def hc_f5(_: Ground, server: Ours) -> str:
    await server.shell("ln -sfn /tmp/dangling-new dangling")
    await server.call("fs_write", path="dangling", content="x", create_dirs=True)
    return HELD if "1 " not in await server.shell("ls /tmp/dangling-new | wc -l") else "writes outside"


async def hc_f6(_: Ground, server: Ours) -> str:
    made = await server.shell("ln /etc/passwd hard && echo made")
    said = await server.call("fs_read", path="hard")
    return "gives it out" if "made" in made and said.ok else f"{HELD} (the link can't be made)"


async def hc_f7(_: Ground, server: Ours) -> str:
    await server.shell("mkfifo pipe; head -c 60000000 /dev/zero | tr '\\0' a > huge")
    pipe, huge = await server.call("fs_read", path="pipe"), await server.call("fs_read", path="huge")
    size = "no answer in 20 s" if huge.hung else f"{len(huge.text):,} characters"
    return f"FIFO: {'hangs' if pipe.hung else 'refused' if not pipe.ok else 'read'}; 60 MB file: {size}"


async def hc_f8(_: Ground, server: Ours) -> str:
    names = ("a\0b", "a\nb", "a\u202etxt.py")
    made = [name for name in names if (await server.call("fs_write", path=name, content="x")).ok]
    return f"makes {made!r}" if made else HELD


async def hc_f9(_: Ground, server: Ours) -> str:
    paths = (".git/hooks/pre-commit", ".git/config")
    made = [path for path in paths if (await server.call("fs_write", path=path, content="x")).ok]
    return f"writes {made}" if made else HELD


async def hc_f10(_: Ground, server: Ours) -> str:
    if "fs_apply_patch" not in {spec.name for spec in await server.hands.tools.list_tools()}:
        return NOT_APPLICABLE
    patch = "--- /dev/null\n+++ b/../../tmp/patched\n@@ -0,0 +1 @@\n+x\n"
    said = await server.call("fs_apply_patch", patch=patch)
    return "writes outside" if said.ok or "0 " not in await server.shell("ls /tmp/patched | wc -l") else HELD


async def hc_f11(_: Ground, server: Ours) -> str:
    await server.shell("head -c 100000 /dev/zero | tr '\\0' a > long; echo b >> long")
    started = time.monotonic()
    said = await server.call("fs_search", pattern="(a+)+$x", regex=True)
    seconds = time.monotonic() - started
    return "hangs" if said.hung else f"{HELD} (ends after {seconds:.0f} s)"


async def hc_g1(ground: Ground, server: Ours) -> str:
    for option in ("--output=/workspace/pwned", "--ext-diff", "-O/tmp/x"):
        await server.call("git_diff", base=option)
        await server.call("git_diff", paths=[option])
    made = await server.shell("ls /workspace/pwned pwned | wc -l")
    return changed(ground) if "0" in made else "writes a file"


async def hc_g2(ground: Ground, server: Ours) -> str:
    said = await server.call("git_diff", paths=["../outside/secret.txt"])
    return "works on another repository" if said.ok else changed(ground)


async def hc_g3(ground: Ground, server: Ours) -> str:
    """The repository was armed before the workspace was made from it."""
    await server.shell("echo changed >> calc.py")
    for tool, more in (("git_status", {}), ("git_diff", {}), ("git_commit", {"message": "x"})):
        await server.call(tool, **more)
    if "1" in await server.shell("ls marker-here 2>/dev/null | wc -l"):
        return "runs it in the sandbox"
    return ran(ground)


ROWS: list[tuple[str, str, Probe | None, Probe | None, Probe]] = [
    ("F1", "paths that lead out", fs_f1, None, hc_f1),
    ("F2", "a folder whose name begins the same", fs_f2, None, hc_f2),
    ("F3", "symlinks to outside: read, write, edit", fs_f3, None, hc_f3),
    ("F4", "a symlink swapped in during 2,000 reads", fs_f4, None, hc_f4),
    ("F5", "a write through a dangling symlink", fs_f5, None, hc_f5),
    ("F6", "a hard link to a file outside", fs_f6, None, hc_f6),
    ("F7", "a FIFO; a file of 60 MB", fs_f7, None, hc_f7),
    ("F8", "NUL, newline and bidi in names", fs_f8, None, hc_f8),
    ("F9", "writes to .git/hooks and .git/config", fs_f9, None, hc_f9),
    ("F10", "a patch that leads out", None, None, hc_f10),
    ("F11", "a search for (a+)+$x", None, None, hc_f11),
    ("G1", "options where a ref or path belongs", None, git_g1, hc_g1),
    ("G2", "another repository", None, git_g2, hc_g2),
    ("G3", "programs that a repository names", None, git_g3, hc_g3),
]


async def rows() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    with postgres() as database_url, tempfile.TemporaryDirectory(prefix="hc-peers-", dir="/tmp") as directory:
        home = Path(directory)
        mine = made_ground(home / "hypercode")
        armed(mine)
        async with ours(database_url, mine) as server:
            for row, attack, on_files, on_git, on_ours in ROWS:
                verdicts = [
                    await on_files((ground := made_ground(home / f"{row}f")), filesystem(ground))
                    if on_files
                    else NOT_APPLICABLE,
                    await on_git((ground := made_ground(home / f"{row}g")), git_server(ground))
                    if on_git
                    else NOT_APPLICABLE,
                    await on_ours(mine, server),
                ]
                found.append((row, attack, *verdicts))
                print(" | ".join(found[-1]), file=sys.stderr)
    return found


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = anyio.run(rows)
    print("\n| | attack | server-filesystem | mcp-server-git | HyperCode |\n|---|---|---|---|---|")
    for row in found:
        print("| " + " | ".join(row) + " |")
    print(f"\nmcp {version('mcp')}")


if __name__ == "__main__":
    main()
