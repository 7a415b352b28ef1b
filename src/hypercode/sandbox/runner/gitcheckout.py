"""Bringing committed files back into the work tree. Git says which and with what content; the files are written by
our own confined code, since git itself follows a directory that is swapped for a link at the wrong moment, and the
gitdir, which the helper may write, is where such a link would lead.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile

import changes
import git
from beneath import Root
from refusals import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

MAX_BYTES = 128 * 1024 * 1024
SAFE = ("--no-renames", "--ignore-submodules=all", "--no-ext-diff", "-z")
Row = tuple[str, str]


def _env(**more: str) -> dict[str, str]:
    return git.environment(GIT_DIR="/gitdir", GIT_WORK_TREE="/workspace", **more)


def _names(*args: str) -> set[str]:
    return {_text(name) for name in git.run(*args, env=_env()).stdout.split(b"\0") if name}


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _tree(commit: str) -> dict[str, Row]:
    """Return {path: (mode, blob)} of a commit's files."""
    found: dict[str, Row] = {}
    for row in git.run("ls-tree", "-r", "-z", "--full-tree", commit, env=_env()).stdout.split(b"\0"):
        if row:
            facts, _, name = row.partition(b"\t")
            mode, _kind, blob = facts.decode().split(" ")
            found[_text(name)] = (mode, blob)
    return found


def _covered(name: str, paths: list[str]) -> bool:
    return any(path == "." or name == path or name.startswith(path + "/") for path in paths)


def _differing(commit: str) -> set[str]:
    """Return the paths whose file differs from a commit's, staged or not."""
    git.run("update-index", "-q", "--refresh", env=_env(), check=False)
    unstaged = _names("diff-index", "--name-only", *SAFE, commit, "--")
    return unstaged | _names("diff-index", "--cached", "--name-only", *SAFE, commit, "--")


def restore(request: dict[str, Any]) -> dict[str, Any]:
    """Make paths in work tree and index what they are in a commit."""
    commit: str = request["commit"]
    paths: list[str] = request["paths"]
    tree = _tree(commit)
    known = set(tree) | _names("ls-files", "-z")
    for path in paths:
        if not any(_covered(name, [path]) for name in known):
            raise Refused("NOT_FOUND", "no file of the commit is at " + path)
    wanted = {name for name in _differing(commit) if _covered(name, paths)}
    _write({name: tree.get(name) for name in wanted}, {})
    _index({name: tree.get(name) for name in wanted})
    return {"paths": _shown(wanted)}


def switch(request: dict[str, Any]) -> dict[str, Any]:
    """Go to another branch, taking along what is not committed; refused where that is in the way."""
    ref = "refs/heads/" + request["name"]
    target = git.text("rev-parse", "--verify", "-q", "--end-of-options", ref + "^{commit}", env=_env())
    head = git.text("rev-parse", "--verify", "-q", "HEAD^{commit}", env=_env())
    before, after = _tree(head), _tree(target)
    moved = {name for name in set(before) | set(after) if before.get(name) != after.get(name)}
    in_the_way = sorted(moved & _differing(head))
    if in_the_way:
        raise Refused(
            "CONFLICT",
            "these have changes that are not committed: " + ", ".join(_shown(set(in_the_way))[:10]),
            "commit or restore them first",
        )
    with tempfile.TemporaryDirectory() as scratch:
        index = os.path.join(scratch, "index")
        shutil.copyfile("/gitdir/index", index)
        git.run("read-tree", "-i", "-m", head, target, env=_env(GIT_INDEX_FILE=index))
        _write({name: after.get(name) for name in moved}, before)
        shutil.copyfile(index, "/gitdir/index.new")
        os.rename("/gitdir/index.new", "/gitdir/index")
    git.run("symbolic-ref", "HEAD", ref, env=_env())
    git.run("update-index", "-q", "--refresh", env=_env(), check=False)
    return {"paths": _shown(moved)}


def _shown(names: set[str]) -> list[str]:
    return sorted(os.fsencode(name).decode("utf-8", "replace") for name in names)


def _write(wanted: dict[str, Row | None], before: dict[str, Row]) -> None:
    """Write or delete files, all or none. ``before``: what is known to be there; nothing else is overwritten."""
    files = {name: row for name, row in wanted.items() if row is not None and row[0] != "160000"}
    links = [name for name, row in files.items() if row[0] == "120000"]
    links += [name for name, row in before.items() if name in wanted and row[0] == "120000"]
    if links:
        raise Refused(
            "INVALID_ARGUMENT", "symbolic links are not restored by this tool: " + ", ".join(links[:5])
        )
    made: list[dict[str, Any]] = [
        {"action": "delete", "path": name}
        for name, row in sorted(wanted.items())
        if row is None and os.path.lexists(os.path.join("/workspace", name))
    ]
    contents = _contents([row[1] for row in files.values()])
    for name, (mode, blob) in sorted(files.items()):
        new = bool(before) and name not in before
        made.append(
            {
                "action": "write",
                "path": name,
                "data_b64": contents[blob],
                "mode": 0o755 if mode == "100755" else 0o644,
                "if_sha256": "" if new else None,
            }
        )
    changes.change(Root("/workspace"), made)


def _contents(blobs: list[str]) -> dict[str, str]:
    """Return {blob: base64 of its bytes}."""
    found: dict[str, str] = {}
    total = 0
    for blob in blobs:
        total += int(git.text("cat-file", "-s", blob, env=_env()))
        if total > MAX_BYTES:
            raise Refused("TOO_LARGE", "the files are larger than 128 MiB together")
        found[blob] = base64.b64encode(git.run("cat-file", "blob", blob, env=_env()).stdout).decode()
    return found


def _index(rows: dict[str, Row | None]) -> None:
    """Make index entries what they are in the commit."""
    gone = b"".join(os.fsencode(name) + b"\0" for name, row in rows.items() if row is None)
    git.run("update-index", "-z", "--force-remove", "--stdin", env=_env(), data=gone)
    kept = b"".join(
        ("%s %s\t" % row).encode() + os.fsencode(name) + b"\0"
        for name, row in rows.items()
        if row is not None
    )
    git.run("update-index", "-z", "--index-info", env=_env(), data=kept)
    git.run("update-index", "-q", "--refresh", env=_env(), check=False)
