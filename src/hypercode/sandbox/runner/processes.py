"""Linux process facts: the tree below a process, the subreaper flag, hiding a process from its own user."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def become_subreaper() -> None:
    """Orphans below this process become its children, so that a double fork can't get away."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def hide() -> None:
    """Commands run as the same user: keep them from reading or writing this process's memory."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _parents() -> dict[int, int]:
    """Return {pid: parent pid} of every process in the container."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as stream:
                fields = stream.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if len(fields) > 1:
            parents[int(name)] = int(fields[1])
    return parents


def descendants(pid: int, spared: frozenset[int]) -> list[int]:
    """Return the pids below ``pid``, without the subtrees whose head is in ``spared``."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in spared:
                found.append(child)
                waiting.append(child)
    return found


def kill_below(pid: int, spared: frozenset[int] = frozenset()) -> None:
    """Kill everything below ``pid`` and reap it; repeats until nothing is left (forks may be under way)."""
    quiet = 0
    while quiet < 2:
        below = descendants(pid, spared)
        quiet = 0 if below else quiet + 1
        for victim in below:
            try:
                os.kill(victim, signal.SIGKILL)
            except OSError:
                continue
        for victim in below:
            try:
                os.waitpid(victim, os.WNOHANG)
            except OSError:
                continue


def kill_all_below() -> None:
    """Kill everything below this process, a subreaper, and reap it: without a child it has no descendant."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        for victim in descendants(os.getpid(), frozenset()):
            try:
                os.kill(victim, signal.SIGKILL)
            except OSError:
                continue
