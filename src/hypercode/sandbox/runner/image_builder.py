"""Builds one stage of an agent's image: runs its steps in the builder container, and reports as JSON lines.

The argument is JSON: {"steps": [...], "env": {...}}, the steps as ``dockerfiles.py`` writes them, with the root
that a copy takes from. The last line is {"type": "done"} or {"type": "failed", "step", "log"}.
"""

from __future__ import annotations

import fnmatch
import glob
import json
import os
import re
import shutil
import stat
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from builder import environment, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

STAGED = "/.hypercode/stage"
SHOWN = 300
KEPT = 60


class Failed(Exception):
    """A step can't be done; the words say why."""


class Ignored:
    """The patterns of a .dockerignore; the last that matches decides."""

    def __init__(self, path: str) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                lines = stream.read(65536).splitlines()
        except OSError:
            return
        for line in lines:
            pattern = line.strip()
            if pattern and not pattern.startswith("#"):
                kept = pattern.startswith("!")
                self._rules.append((not kept, _pattern(pattern.lstrip("!").strip("/"))))

    def __contains__(self, path: str) -> bool:
        if ".git" in path.split("/"):
            return True
        ignored = False
        for ignores, pattern in self._rules:
            if pattern.match(path):
                ignored = ignores
        return ignored


def _pattern(text: str) -> re.Pattern[str]:
    parts = [
        ".*" if part == "**" else fnmatch.translate(part)[4:-3].replace(".*", "[^/]*")
        for part in text.split("/")
    ]
    joined = "/".join(parts).replace(".*/", "(?:.*/)?")
    return re.compile("(?:%s)(?:/|$)" % joined, re.S)


def put(source: str, target: str, mode: int, name: str, ignored: Ignored) -> None:
    """Copy a file, link or directory; everybody may read what is copied, special files are passed over."""
    if name in ignored:
        return
    status = os.lstat(source)
    if stat.S_ISLNK(status.st_mode):
        if os.path.lexists(target):
            os.unlink(target)
        os.symlink(os.readlink(source), target)
    elif stat.S_ISDIR(status.st_mode):
        os.makedirs(target, exist_ok=True)
        for entry in sorted(os.listdir(source)):
            put(os.path.join(source, entry), os.path.join(target, entry), mode, "%s/%s" % (name, entry) if name else entry, ignored)  # fmt: skip
        os.chmod(target, mode or 0o755)
    elif stat.S_ISREG(status.st_mode):
        if os.path.islink(target):
            os.unlink(target)
        shutil.copyfile(source, target)
        os.chmod(target, mode or (0o755 if status.st_mode & 0o111 else 0o644))


def copy(step: dict[str, Any]) -> None:
    """Carry out a COPY."""
    root: str = step["root"]
    ignored = Ignored(os.path.join(root, ".dockerignore") if step["source"] is None else "/nowhere")
    found: list[str] = []
    for name in step["names"]:
        path = os.path.normpath(os.path.join(root, name))
        here = sorted(glob.glob(path)) if glob.has_magic(name) else [path] * os.path.lexists(path)
        if not here:
            raise Failed("there is no %r to copy" % name)
        found.extend(here)
    to: str = step["to"]
    inside = to.endswith("/") or len(found) > 1 or os.path.isdir(to)
    for path in found:
        name = "" if path == root else os.path.relpath(path, root)
        if os.path.isdir(path) and not os.path.islink(path):
            put(path, to, step["mode"], name, ignored)
        else:
            target = os.path.join(to, os.path.basename(path)) if inside else to
            os.makedirs(os.path.dirname(target), exist_ok=True)
            put(path, target, step["mode"], name, ignored)


def run(step: dict[str, Any], outside: dict[str, str]) -> None:
    """Carry out a RUN; raises Failed with its exit code."""
    # The way out wins over what the image says of proxies; all else is the image's.
    env = dict(os.environ)
    env.update(step["env"])
    env.update(outside)
    os.makedirs(step["cwd"], exist_ok=True)
    try:
        process = subprocess.Popen(
            step["argv"], cwd=step["cwd"], env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    except OSError as failure:
        raise Failed("%s: %s" % (step["argv"][0], failure.strerror)) from failure
    count = 0
    last: list[str] = []
    for raw in process.stdout or ():
        line = raw.decode("utf-8", "replace").rstrip()[:500]
        count += 1
        if count <= SHOWN:
            say("log", line=line)
        else:
            last = [*last[-(KEPT - 1) :], line]
    if count > SHOWN + KEPT:
        say("log", line="[... %d lines left out ...]" % (count - SHOWN - KEPT))
    for line in last:
        say("log", line=line)
    code = process.wait()
    if code:
        raise Failed("exit code %d" % code)


def carry_out(step: dict[str, Any], outside: dict[str, str]) -> None:
    """Do one step."""
    if step["op"] == "run":
        run(step, outside)
    elif step["op"] == "copy":
        copy(step)
    else:
        os.makedirs(step["path"], exist_ok=True)


def main() -> None:
    """Do the steps until one fails."""
    os.umask(0o022)
    asked: dict[str, Any] = json.loads("".join(sys.argv[1:]))
    before = dict(os.environ)
    outside = {name: value for name, value in environment(asked["env"]).items() if before.get(name) != value}
    for step in asked["steps"]:
        say("progress", message=step["show"])
        try:
            carry_out(step, outside)
        except (Failed, OSError, RecursionError) as failure:
            say("failed", step=step["show"], log=str(failure)[:500])
            return
    shutil.rmtree(STAGED, ignore_errors=True)
    say("done")


if __name__ == "__main__":
    main()
