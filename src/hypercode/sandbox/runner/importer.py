"""Makes a workspace: brings a source into the project's mirror, then a gitdir and a work tree from it.

Runs in a short-lived container: /src (read-only), /mirror, /gitdir and /workspace. The source is read as
root (its files may be private), the rest happens as the sandbox user. Prints one JSON line.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import git
import proxy_relay
from gitwork import checkout
from refusals import Refused
from snapshot_open import FOLDER
from snapshot_restore import Restoring, check_whole
from snapshot_store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from collections.abc import Callable
    from typing import Any

UID = 10001
DEPTH = "100"
MAX_FILE = 512 << 20
MAX_SOURCE = 8 << 30
INFO = "/gitdir/hypercode.json"
MIRROR_INDEX = "/tmp/import-index"


def _mirror(**more: str) -> dict[str, str]:
    return git.environment(GIT_DIR="/mirror", **more)


def _tree_env() -> dict[str, str]:
    return _mirror(GIT_WORK_TREE="/src", GIT_INDEX_FILE=MIRROR_INDEX)


def _init_mirror() -> None:
    if not os.path.exists("/mirror/HEAD"):
        git.run("init", "-q", "--bare", "/mirror", env=git.environment())
    with open("/mirror/info/exclude", "w") as stream:
        stream.write("\n".join(git.FOLDER_EXCLUDED) + "\n")


def _commit_tree(tree: str, message: str, *parents: str) -> str:
    options = [option for parent in parents for option in ("-p", parent)]
    return git.text("commit-tree", tree, *options, "-m", message, env=_mirror())


def _nested() -> list[str]:
    """Return the folders under /src that are repositories of their own: git would store a bare link."""
    found: list[str] = []
    for folder, names, plain in os.walk("/src"):
        if folder != "/src" and (".git" in names or ".git" in plain):
            found.append(os.path.relpath(folder, "/src"))
            names[:] = []
        names[:] = [name for name in names if name not in (".git", "node_modules", ".venv", "venv")]
    return found


def import_folder(_args: dict[str, Any]) -> dict[str, Any]:
    """Import a plain folder as one base commit."""
    _init_mirror()
    skipped = _nested()
    paths = [".", *(":(exclude,literal)" + path for path in skipped)]
    new = git.run("-C", "/src", "ls-files", "-z", "-o", "--exclude-standard", "--", *paths, env=_tree_env())
    _check_sizes(new.stdout.split(b"\0"))
    git.run("-C", "/src", "add", "-A", "--", *paths, env=_tree_env())
    if not git.run("ls-files", env=_tree_env()).stdout:
        raise Refused(
            "INVALID_ARGUMENT", "the folder holds no files", "put the project's files into it first"
        )
    tree = git.text("write-tree", env=_tree_env())
    base = _commit_tree(tree, "Import of a folder without a repository")
    note = "a plain folder without a repository, imported as one commit"
    if skipped:
        note += "; left out, being repositories of their own: " + ", ".join(skipped[:5])
    return {"base": base, "source_commit": None, "imported_folder": True, "dirty": 0, "note": note}


def _resolve(commit: str | None, env: dict[str, str]) -> str:
    wanted = commit or "HEAD"
    done = git.run(
        "rev-parse", "--verify", "-q", "--end-of-options", wanted + "^{commit}", env=env, check=False
    )
    if done.returncode == 0:
        return done.stdout.decode().strip()
    if commit:
        raise Refused(
            "INVALID_ARGUMENT", "no such commit in the repository: " + commit, "name one that exists"
        )
    raise Refused("INVALID_ARGUMENT", "the repository has no commit yet", "commit something first")


def _changed_paths(sha: str) -> list[bytes]:
    """Return the paths of the source's work tree that differ from ``sha``, with an index to add them by."""
    source_index = os.path.join(_source_gitdir(), "index")
    copied = os.path.exists(source_index)
    if copied:
        shutil.copyfile(source_index, MIRROR_INDEX)
    compared = (
        git.run("-C", "/src", "diff-index", "--name-only", "-z", sha, env=_tree_env(), check=False)
        if copied
        else None
    )
    if compared is None or compared.returncode != 0:
        if os.path.exists(MIRROR_INDEX):
            os.unlink(MIRROR_INDEX)
        git.run("read-tree", sha, env=_tree_env())
    git.run("-C", "/src", "update-index", "-q", "--refresh", env=_tree_env(), check=False)
    changed = git.run("-C", "/src", "diff-index", "--name-only", "-z", sha, env=_tree_env()).stdout
    own = os.path.join(_source_gitdir(), "info", "exclude")
    excludes = ["--exclude-from=" + own] if os.path.exists(own) else []
    new = git.run(
        "-C", "/src", "ls-files", "-z", "-o", "--exclude-standard", *excludes, env=_tree_env()
    ).stdout
    return sorted({path for path in (changed + new).split(b"\0") if path})


def _source_gitdir() -> str:
    return git.text("-C", "/src", "rev-parse", "--absolute-git-dir", env=git.environment())


def import_repository(args: dict[str, Any]) -> dict[str, Any]:
    """Import a commit of a local repository; uncommitted work only when asked for."""
    _init_mirror()
    env = git.environment()
    sha = _resolve_in("/src", args.get("commit"), env)
    # The work tree is compared with HEAD, which may be another commit than the one that is asked for.
    head = sha if not args.get("commit") else _head_of_source(env)
    if args.get("include_dirty") and head != sha:
        raise Refused(
            "INVALID_ARGUMENT",
            "uncommitted work belongs to HEAD, and the commit asked for is another",
            "check that commit out first, or leave the uncommitted work out",
        )
    for commit in {sha, head or sha}:
        git.run(
            "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--update-shallow", "/src",
            "+%s:refs/hypercode/imports/%s" % (commit, commit), env=_mirror(),
        )  # fmt: skip
    bare = git.text("-C", "/src", "rev-parse", "--is-bare-repository", env=env) == "true"
    dirty = _changed_paths(head) if head and not bare else []
    base, note = sha, _head_note(args, sha, env)
    if dirty and args.get("include_dirty"):
        _check_sizes(dirty)
        git.run("-C", "/src", "add", "-A", "--", ".", env=_tree_env())
        base = _commit_tree(git.text("write-tree", env=_tree_env()), "Uncommitted work", sha)
        note += ", with %d uncommitted paths" % len(dirty)
    elif dirty:
        note += "; %d uncommitted paths are left out" % len(dirty)
    left_out = 0 if base != sha else len(dirty)
    return {"base": base, "source_commit": sha, "imported_folder": False, "dirty": left_out, "note": note}


def _head_of_source(env: dict[str, str]) -> str | None:
    done = git.run("-C", "/src", "rev-parse", "--verify", "-q", "HEAD^{commit}", env=env, check=False)
    return done.stdout.decode().strip() or None


def _check_sizes(paths: list[bytes]) -> None:
    """Refuse what would fill the disk three times over: the mirror, the gitdir and the work tree."""
    total = 0
    for path in paths:
        try:
            status = os.lstat(os.path.join(b"/src", path))
        except OSError:
            continue
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        total += size
        if size > MAX_FILE or total > MAX_SOURCE:
            fact = "the file %s has %d MiB" % (path.decode("utf-8", "replace"), size >> 20)
            if size <= MAX_FILE:
                fact = "the files have together more than %d MiB" % (MAX_SOURCE >> 20)
            raise Refused(
                "TOO_LARGE",
                "%s; at most %d MiB in one file are imported" % (fact, MAX_FILE >> 20),
                "move large files out of the project's folder, or name them in its .gitignore",
            )


def _resolve_in(folder: str, commit: str | None, env: dict[str, str]) -> str:
    return _resolve(commit, dict(env, GIT_DIR=_gitdir_of(folder, env)))


def _gitdir_of(folder: str, env: dict[str, str]) -> str:
    return git.text("-C", folder, "rev-parse", "--absolute-git-dir", env=env)


def _head_note(args: dict[str, Any], sha: str, env: dict[str, str]) -> str:
    branch = git.run("-C", "/src", "symbolic-ref", "-q", "--short", "HEAD", env=env, check=False)
    name: str = args.get("commit") or branch.stdout.decode("utf-8", "replace").strip() or "detached HEAD"
    subject = git.text("show", "-s", "--format=%s", sha, env=_mirror())
    return "%s at %s (%s)" % (name, sha[:10], subject[:80])


def import_url(args: dict[str, Any]) -> dict[str, Any]:
    """Fetch a branch tip or a commit over https into the mirror."""
    _init_mirror()
    proxy = proxy_relay.start()
    env = _mirror(HTTPS_PROXY=proxy, https_proxy=proxy)
    if os.path.exists(proxy_relay.CA_FILE):
        env["GIT_SSL_CAINFO"] = proxy_relay.CA_FILE
    wanted: str = args.get("commit") or "HEAD"
    done = git.run(
        "fetch", "-q", "--no-tags", "--", args["url"], "+%s:refs/hypercode/incoming" % wanted,
        env=env, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()[-400:]
        raise Refused(
            "INVALID_ARGUMENT", "the repository can't be fetched: " + words, "check the URL and access"
        )
    sha = git.text("rev-parse", "--verify", "refs/hypercode/incoming^{commit}", env=_mirror())
    git.run("update-ref", "refs/hypercode/imports/" + sha, sha, env=_mirror())
    subject = git.text("show", "-s", "--format=%s", sha, env=_mirror())
    note = "%s at %s (%s)" % (wanted, sha[:10], subject[:80])
    return {"base": sha, "source_commit": sha, "imported_folder": False, "dirty": 0, "note": note}


def import_parent(args: dict[str, Any]) -> dict[str, Any]:
    """Start from a commit in another workspace's gitdir, mounted at /src."""
    git.run(
        "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--update-shallow", "file:///src",
        "+%s:refs/hypercode/bases/%s" % (args["commit"], args["commit"]), env=_mirror(),
    )  # fmt: skip
    note = "the present tree of the parent run's workspace"
    return {"base": args["commit"], "source_commit": None, "imported_folder": False, "dirty": 0, "note": note}


def import_base(args: dict[str, Any]) -> dict[str, Any]:
    """Start where another workspace of the project started; its base is still in the mirror."""
    sha = _resolve(args["commit"], _mirror())
    note = "the base of the run that this one was forked from"
    return {"base": sha, "source_commit": None, "imported_folder": False, "dirty": 0, "note": note}


def _restore(args: dict[str, Any]) -> None:
    """Put a snapshot of another workspace in the place of the base's files."""
    store = Store()
    with store.held():
        store.swept()
        _snapshot, wanted = store.tree(args["from_workspace"], args["from_snapshot"])
        check_whole(store, wanted)
        fd = os.open("/workspace", FOLDER)
        try:
            Restoring(store).folder(fd, None, wanted)
        finally:
            os.close(fd)


def _become_sandbox_user(*folders: str) -> None:
    for folder in folders:
        os.chown(folder, UID, UID)
    os.setgroups([])
    os.setgid(UID)
    os.setuid(UID)


def make_workspace(found: dict[str, Any], origin: str, args: dict[str, Any]) -> dict[str, Any]:
    """As the sandbox user: a gitdir with recent history of the base commit, and its work tree."""
    env = git.environment(GIT_DIR="/gitdir", GIT_WORK_TREE="/workspace")
    git.run("init", "-q", env=env)
    with open("/gitdir/info/exclude", "w") as stream:
        stream.write("\n".join(git.EXCLUDED) + "\n")
    base: str = found["base"]
    refspec = "+%s:refs/hypercode/base" % base
    git.run(
        "fetch",
        "-q",
        "--no-tags",
        "--no-write-fetch-head",
        "--depth=" + DEPTH,
        "file://" + origin,
        refspec,
        env=env,
    )
    git.run("update-ref", "refs/heads/main", base, env=env)
    git.run("symbolic-ref", "HEAD", "refs/heads/main", env=env)
    git.run("reset", "-q", "--hard", env=env)
    with open("/workspace/.git", "w") as stream:
        stream.write("gitdir: /gitdir\n")
    info = {
        "base_commit": base,
        "base_tree": git.text("rev-parse", base + "^{tree}", env=env),
        "source_commit": found["source_commit"],
        "imported_folder": found["imported_folder"],
        "dirty_left_out": found["dirty"],
        "files": len(git.run("ls-files", "-z", env=env).stdout.split(b"\0")) - 1,
        "head_note": found["note"],
    }
    if args.get("from_snapshot"):
        _restore(args)
    with open(INFO + ".new", "w") as stream:
        json.dump(info, stream)
    os.rename(INFO + ".new", INFO)
    return info


IMPORTS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "folder": (import_folder, "/mirror"),
    "repository": (import_repository, "/mirror"),
    "url": (import_url, "/mirror"),
    "parent": (import_parent, "/src"),
    "base": (import_base, "/mirror"),
}


def _perform(args: dict[str, Any]) -> dict[str, Any]:
    if args["kind"] == "checkout":
        _become_sandbox_user("/target")
        return checkout(args)
    if args["kind"] == "snapshot":
        _become_sandbox_user("/workspace")
        _restore(args)
        return {}
    if os.path.exists(INFO):
        with open(INFO) as stream:
            known: dict[str, Any] = json.load(stream)
        return known
    bring, origin = IMPORTS[args["kind"]]
    found = bring(args)
    # A later run may start here when the source has gone on, and this workspace is gone.
    git.run("update-ref", "refs/hypercode/bases/" + found["base"], found["base"], env=_mirror())
    _become_sandbox_user("/gitdir", "/workspace", "/snapshots")
    return make_workspace(found, origin, args)


def _words(failure: OSError) -> dict[str, str]:
    if failure.errno == errno.ENOSPC:
        return {
            "code": "TOO_LARGE",
            "message": "no space left on the engine's disk",
            "hint": "free some space",
        }
    return {"code": "INVALID_ARGUMENT", "message": "the import failed: %s" % failure, "hint": ""}


def main() -> None:
    """Do what the arguments (together one JSON text) say and print the outcome as JSON."""
    os.umask(0o022)
    try:
        answer: dict[str, Any] = {"ok": _perform(json.loads("".join(sys.argv[1:])))}
    except Refused as refused:
        answer = {"error": {"code": refused.code, "message": refused.message, "hint": refused.hint}}
    except OSError as failure:
        answer = {"error": _words(failure)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
