"""Run work in a forked child that may crash, hang, fork or eat memory, and collect its lines."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
import warnings
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Set, cast

try:
    import resource
except ImportError:  # not a POSIX system: no limits, and no fork either
    resource = None

Record = Dict[str, Any]
LEAVE = os._exit  # a traced test runs with another one
_POLL_S = 0.02
_MEMORY_BYTES = 2 << 30
_FILE_BYTES = 512 << 20
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass
class Limits:
    """Wall limit, an earlier one that counts once a first failure is known, and the longest
    time without a new record. All in seconds.
    """

    wall_s: float
    after_failure_s: float = 1e9
    stall_s: float = 1e9


@dataclass
class Outcome:
    """What a child reported. `end` is `done`, `timeout`, `stalled` or `crash`; CPU in seconds."""

    end: str
    records: List[Record] = field(default_factory=list[Record])
    cpu_s: float = 0.0


class Emitter:
    """The child's side: one JSON object a line. Silent in processes that the child forks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._owner = os.getpid()

    def __call__(self, record: Record) -> None:
        """Write one record, or end a process that is not the one this was made for."""
        if os.getpid() != self._owner:
            LEAVE(0)  # a test forked and its child came back here: it must not go on
        data = json.dumps(record).encode("utf-8") + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]


def become_subreaper() -> None:
    """Have orphans of dead children handed to this process, which then can end them (Linux)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run_in_child(work: Callable[[Emitter], None], limits: Limits) -> Outcome:
    """Fork, run `work` with an emitter, and wait at most the limit.

    Whatever the child leaves behind is killed: its process group, and on Linux every orphan.
    """
    keep = children_of(os.getpid())
    reader, writer = os.pipe()
    before = child_cpu()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "multi-threaded, fork may deadlock": the limit ends that
        child = os.fork()
    if child == 0:
        os.close(reader)
        _child(work, writer)
    os.close(writer)
    outcome = _supervise(child, reader, limits)
    os.close(reader)
    _end_leftovers(keep)
    outcome.cpu_s = child_cpu() - before
    return outcome


def limit_cpu(seconds: float) -> None:
    """End this process by SIGPROF once it has used so much more CPU. Unlike a wall limit it does
    not hit code that is only slow because the machine is busy.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _child(work: Callable[[Emitter], None], writer: int) -> None:
    os.setsid()
    emit = Emitter(writer)
    try:
        _limit_resources()
        work(emit)
        emit({"end": "done"})
    finally:
        # Also after SystemExit or an error of the candidate: nothing of the parent's may run here.
        LEAVE(0)


def _limit_resources() -> None:
    if resource is None:
        return
    used = _address_space()
    _lower(resource.RLIMIT_AS, max(_MEMORY_BYTES, used + _MEMORY_BYTES // 2))
    _lower(resource.RLIMIT_FSIZE, _FILE_BYTES)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, value: int) -> None:
    if resource is None:
        return
    _, hard = resource.getrlimit(kind)
    limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (limit, hard))


def _address_space() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class _Stream:
    """Lines of JSON put together from what a pipe gives."""

    def __init__(self) -> None:
        self.records: List[Record] = []
        self.failed = False
        self.done = False
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            record = _parse(line)
            if record.get("end") == "done":
                self.done = True
            elif record:
                self.records.append(record)
                self.failed = self.failed or record.get("outcome") == "failed"


def _parse(line: bytes) -> Record:
    try:
        value = json.loads(line)
    except ValueError:  # the candidate's own code wrote into the pipe
        return {}
    return cast(Record, value) if isinstance(value, dict) else {}


def _supervise(child: int, reader: int, limits: Limits) -> Outcome:
    stream = _Stream()
    started = latest = time.monotonic()
    exited = False
    while not stream.done:
        now = time.monotonic()
        limit = min(limits.wall_s, limits.after_failure_s if stream.failed else limits.wall_s)
        if now - started >= limit or now - latest >= limits.stall_s:
            _kill(child)
            stalled = now - latest >= limits.stall_s
            return Outcome("stalled" if stalled else "timeout", stream.records)
        ready, _, _ = select.select([reader], [], [], min(_POLL_S, limit))
        data = os.read(reader, 1 << 16) if ready else b""
        if data:
            stream.feed(data)
            latest = now
        elif ready or exited:
            break
        else:
            # A grandchild can hold the pipe open; read once more after the child has gone.
            exited = os.waitid(os.P_PID, child, _EXITED) is not None
    status = _kill(child)
    if stream.done:
        return Outcome("done", stream.records)
    spent = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
    return Outcome("timeout" if spent else "crash", stream.records)


_EXITED = getattr(os, "WEXITED", 0) | getattr(os, "WNOHANG", 0) | getattr(os, "WNOWAIT", 0)


def _kill(child: int) -> int:
    """End the child and its group, then reap it. Its wait status."""
    for target in (os.killpg, os.kill):
        try:
            target(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    try:
        return os.waitpid(child, 0)[1]
    except ChildProcessError:
        return 0


def children_of(process: int) -> Set[int]:
    """Live children by the kernel's list; empty where there is none."""
    try:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as listing:
            return {int(entry) for entry in listing.read().split()}
    except OSError:
        return set()


def _end_leftovers(keep: Set[int]) -> None:
    """Kill and reap what was handed up, again until nothing is left (a fork bomb takes rounds)."""
    for _ in range(50):
        left = children_of(os.getpid()) - keep
        if not left:
            return
        for process in left:
            _kill(process)


def child_cpu() -> float:
    """CPU seconds of all reaped children of this process."""
    if resource is None:
        return 0.0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
