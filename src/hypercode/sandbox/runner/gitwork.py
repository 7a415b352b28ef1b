"""Git work on a workspace, in its helper container: export the diff, apply one, check out a clean tree.

Reads one JSON request from stdin, prints one JSON line. GIT_DIR is /gitdir, the work tree /workspace.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import git
import gitcheckout
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable
    from typing import Any

BASE = "refs/hypercode/base"


def _env(**more: str) -> dict[str, str]:
    return git.environment(GIT_DIR="/gitdir", GIT_WORK_TREE="/workspace", **more)


def _drop_nested_repositories() -> None:
    """Remove .git entries below the top: git would store such a folder as a link without its files."""
    for folder, names, plain in os.walk("/workspace"):
        if folder != "/workspace":
            if ".git" in names:
                shutil.rmtree(os.path.join(folder, ".git"), ignore_errors=True)
            elif ".git" in plain:
                os.unlink(os.path.join(folder, ".git"))
        names[:] = [name for name in names if name != ".git"]


def commit_worktree(message: str) -> tuple[str, str]:
    """Commit the work tree on top of base, without touching HEAD; return (commit, tree)."""
    _drop_nested_repositories()
    with tempfile.TemporaryDirectory() as scratch:
        index = os.path.join(scratch, "index")
        if os.path.exists("/gitdir/index"):
            shutil.copyfile("/gitdir/index", index)
        env = _env(GIT_INDEX_FILE=index)
        git.run("add", "-A", "--", "/workspace", env=env)
        tree = git.text("write-tree", env=env)
    base = git.text("rev-parse", BASE, env=_env())
    if tree == git.text("rev-parse", base + "^{tree}", env=_env()):
        return base, tree
    commit = git.text("commit-tree", tree, "-p", base, "-F", "-", env=_env(), data=message.encode())
    git.run("update-ref", "refs/hypercode/heads/" + commit, commit, env=_env())
    return commit, tree


DIFF = ("diff", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-color")


def _diff(commit: str, *paths: str, attributes: str = "/dev/null") -> bytes:
    return git.run(
        "-c", "core.attributesFile=" + attributes, *DIFF, "--src-prefix=a/", "--dst-prefix=b/",
        BASE, commit, "--", *paths, env=_env(),
    ).stdout  # fmt: skip


def _text_diff(commit: str, files: list[str]) -> str:
    """Return the diff as text; files whose lines are not UTF-8 are compared as binary, so nothing is lost."""
    whole = _diff(commit)
    try:
        return whole.decode()
    except UnicodeDecodeError:
        pass
    with tempfile.NamedTemporaryFile("w", suffix=".attributes") as attributes:
        for path in files:
            try:
                _diff(commit, ":(top,literal)" + path).decode()
            except UnicodeDecodeError:
                quoted = path.replace("\\", "\\\\").replace('"', '\\"')
                attributes.write('"/%s" -diff\n' % quoted)
        attributes.flush()
        return _diff(commit, attributes=attributes.name).decode("utf-8", "replace")


def export(request: dict[str, Any]) -> dict[str, Any]:
    """Commit the work tree and compare it with base."""
    commit, tree = commit_worktree(request["message"])
    stat = git.run(
        "diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", BASE, commit, env=_env()
    )
    rows = [row.split("\t", 2) for row in stat.stdout.decode("utf-8", "replace").split("\0") if row]
    files = [row[2] for row in rows]
    return {
        "diff": _text_diff(commit, files),
        "head_commit": commit,
        "head_tree": tree,
        "files": files,
        "insertions": sum(int(row[0]) for row in rows if row[0] != "-"),
        "deletions": sum(int(row[1]) for row in rows if row[1] != "-"),
    }


def apply(request: dict[str, Any]) -> dict[str, Any]:
    """Apply a diff to the work tree, three-way; all of it or nothing."""
    before, _tree = commit_worktree("before applying")
    with tempfile.TemporaryDirectory() as scratch:
        env = _env(GIT_INDEX_FILE=os.path.join(scratch, "index"))
        git.run("read-tree", before, env=env)
        done = git.run(
            "apply", "--cached", "--3way", "--whitespace=nowarn", "-", env=env,
            data=request["diff"].encode(), check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise Refused("CONFLICT", _conflict(done.stderr.decode("utf-8", "replace")))
        tree = git.text("write-tree", env=env)
        # From the tree as it is to the merged one: touches changed paths only, refuses what is in the way.
        git.run("read-tree", before, env=env)
        git.run("update-index", "-q", "--refresh", env=env, check=False)
        git.run("read-tree", "-m", "-u", before, tree, env=env)
    return {}


def _conflict(words: str) -> str:
    lines = [line for line in words.splitlines() if "cleanly" not in line]
    return "the diff does not apply: " + "; ".join(lines[:8])[:800]


def checkout(request: dict[str, Any]) -> dict[str, Any]:
    """Fill an empty folder (/target) with a commit's tree, other paths restored from another commit."""
    scratch = tempfile.mkdtemp()
    env = git.environment(
        GIT_DIR="/gitdir", GIT_WORK_TREE="/target", GIT_INDEX_FILE=os.path.join(scratch, "index")
    )
    git.run("read-tree", request["commit"], env=env)
    _restore(request.get("restore_paths") or [], request.get("restore_paths_from"), env)
    git.run("checkout-index", "-a", "-f", env=env)
    tree = git.text("write-tree", env=env)
    with open("/target/.git", "w") as stream:
        stream.write("gitdir: /gitdir\n")
    overlay: dict[str, str] = request.get("overlay") or {}
    for path, content in overlay.items():
        _overlay(path, content)
    return {"tree": tree}


def _restore(paths: list[str], commit: str | None, env: dict[str, str]) -> None:
    """Bring paths back as they were in ``commit``; what was not there then is removed."""
    if not paths or not commit:
        return
    spec = [":(top,literal)" + path for path in paths]
    then = git.run("ls-tree", "-r", "-z", "--full-tree", commit, env=env).stdout
    now = git.run("ls-files", "-z", "--", *spec, env=env).stdout
    git.run("update-index", "-z", "--force-remove", "--stdin", env=env, data=now)
    wanted = [row for row in then.split(b"\0") if row and _covers(paths, row.partition(b"\t")[2])]
    git.run("update-index", "-z", "--index-info", env=env, data=b"".join(row + b"\0" for row in wanted))


def _covers(paths: list[str], name: bytes) -> bool:
    found = name.decode("utf-8", "surrogateescape")
    return any(found == path.rstrip("/") or found.startswith(path.rstrip("/") + "/") for path in paths)


def _overlay(path: str, content: str) -> None:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or parts[0] == ".git":
        raise Refused("PATH_OUTSIDE", "an overlay file leaves the tree: " + path)
    folder = "/target"
    for part in parts[:-1]:
        folder = os.path.join(folder, part)
        if os.path.islink(folder):
            os.unlink(folder)
        os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, parts[-1])
    if os.path.lexists(target):
        os.unlink(target)
    with open(target, "w", encoding="utf-8") as stream:
        stream.write(content)


def facts(request: dict[str, Any]) -> dict[str, Any]:
    """Return what of the base commit decides its environment: the named files' text, tests, a src folder."""
    names = git.run("ls-tree", "-r", "-z", "--name-only", "--full-tree", BASE, env=_env()).stdout
    paths = [path.decode("utf-8", "replace") for path in names.split(b"\0") if path]
    wanted: set[str] = set(request["paths"])
    files: dict[str, str] = {}
    for path in paths:
        if path in wanted:
            files[path] = (
                git.run("cat-file", "blob", BASE + ":" + path, env=_env())
                .stdout[:262144]
                .decode("utf-8", "replace")
            )
    tests = any(re.search(r"(^|/)(test_[^/]*|[^/]*_test)\.py$", path) for path in paths)
    return {"files": files, "has_tests": tests, "has_src": any(path.startswith("src/") for path in paths)}


OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "facts": facts,
    "export": export,
    "apply": apply,
    "checkout": checkout,
    "restore": gitcheckout.restore,
    "switch": gitcheckout.switch,
}


def main() -> None:
    """Serve one request."""
    try:
        request: dict[str, Any] = json.load(sys.stdin)
        answer: dict[str, Any] = {"ok": OPERATIONS[request["op"]](request)}
    except Refused as refused:
        answer = {"error": {"code": refused.code, "message": refused.message, "hint": refused.hint}}
    except (OSError, subprocess.SubprocessError) as failure:
        answer = {"error": {"code": "INTERNAL", "message": str(failure), "hint": ""}}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
