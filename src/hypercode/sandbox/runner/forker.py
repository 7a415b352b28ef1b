"""Starts commands: a single-threaded process that keeps spare parents ready, one for each coming command.

The runner has threads, so it must not fork itself; it hands over file descriptors and a description, and
a spare parent, forked before it was needed, takes them. The parent of a command is a subreaper and holds its
control socket: a byte below 65 is a signal for the command's process group, any other byte or its end means
kill the whole tree. It answers with one JSON line when the command has ended and nothing of its tree is left.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import gc
import json
import os
import select
import signal
import socket

import processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not imported when it runs: typing alone is a good part of the start.
    from typing import Any

FDS = 6  # description, working directory, stdin, stdout, stderr, control
SPARES = 2
PID = 4
MAX_SIGNAL = 64
AGAIN = 0.05


def send_command(channel: socket.socket, fds: list[int]) -> None:
    """Hand one command's file descriptors to whichever spare parent is first."""
    channel.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def _receive(channel: socket.socket) -> list[int]:
    size = socket.CMSG_SPACE(FDS * array.array("i").itemsize)
    _data, ancillary, _flags, _address = channel.recvmsg(1, size, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for _level, _kind, payload in ancillary:
        fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return list(fds)


def _wakeups() -> int:
    """Return the reading end of a pipe that gets a byte for every ended child."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _drain(reader: int) -> None:
    try:
        while os.read(reader, 4096):
            continue
    except OSError:
        return


def _exec(description: dict[str, Any], fds: list[int], failures: int) -> None:
    """In the new process: become the command. Only returns by writing what went wrong."""
    try:
        _spec, folder, stdin, stdout, stderr, _control = fds
        os.setsid()
        processes.die_with_parent()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.fchdir(folder)
        for target, source in enumerate((stdin, stdout, stderr)):
            os.dup2(source, target)
        os.umask(0o022)
        os.execvpe(description["argv"][0], description["argv"], description["env"])
    except OSError as failure:
        os.write(failures, str(failure.errno).encode())
    except ValueError:
        os.write(failures, b"22")
    finally:
        os._exit(127)


def _start(description: dict[str, Any], fds: list[int]) -> tuple[int, int]:
    """Fork the command; return (pid, errno of a failed exec or 0)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # 0..2 are taken over; move ours out of the way of dup2 first.
        _exec(description, [_moved(fd) for fd in fds], writer)
    os.close(writer)
    failure = os.read(reader, 16)
    os.close(reader)
    return pid, int(failure or b"0")


def _moved(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)


def _wait(pid: int, control: int, wakeups: int) -> int | None:
    """Wait until the command ends or is to be killed; return its wait status, or None when to be killed."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        ready, _, _ = select.select([control, wakeups], [], [], 30.0)
        if wakeups in ready:
            _drain(wakeups)
        if control in ready and not _signalled(pid, control):
            return None
        _reap_strangers(pid)


def _signalled(pid: int, control: int) -> bool:
    """Pass signals on; False when the tree is to be killed. The command is not reaped yet: its id is its own."""
    said = os.read(control, 64)
    if not said or max(said) > MAX_SIGNAL:
        return False
    for number in said:
        with contextlib.suppress(OSError):
            os.killpg(pid, number)
    return True


def _reap_strangers(pid: int) -> None:
    """Collect orphans that ended, but leave the command itself to _wait."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == pid:
            return
        os.waitpid(found.si_pid, os.WNOHANG)


def _supervise(fds: list[int], wakeups: int) -> None:
    """The parent of one command: start it, wait, kill what is left, say how it ended."""
    spec, control = fds[0], fds[5]
    with os.fdopen(os.dup(spec), "rb") as stream:
        description: dict[str, Any] = json.loads(stream.read())
    try:
        pid, failure = _start(description, fds)
    except OSError as full:
        os.write(control, json.dumps({"failed": full.errno}).encode() + b"\n")
        return
    for fd in fds[1:5]:
        os.close(fd)
    status = _wait(pid, control, wakeups)
    processes.kill_all_below()
    answer = {"failed": failure} if failure else {"status": status}
    os.write(control, json.dumps(answer).encode() + b"\n")


def _spare(channel: socket.socket, taken: int) -> None:
    """Become the parent of the next command: everything that can be done before it comes is done."""
    processes.die_with_parent()
    processes.become_subreaper()
    wakeups = _wakeups()
    fds = _receive(channel)
    channel.close()
    if len(fds) == FDS:
        os.write(taken, os.getpid().to_bytes(PID, "little"))
        _supervise(fds, wakeups)


def _fork_spare(channel: socket.socket, taken: int) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _spare(channel, taken)
            code = 0
        finally:
            os._exit(code)
    return pid


class _Parents:
    """The parents that were forked: ``idle`` ones wait for a command, the others have one."""

    def __init__(self) -> None:
        self.all: set[int] = set()
        self.idle: set[int] = set()

    def add(self, pid: int) -> None:
        self.all.add(pid)
        self.idle.add(pid)

    def take(self, said: bytes) -> None:
        """Note the pids of those that took a command."""
        for start in range(0, len(said), PID):
            self.idle.discard(int.from_bytes(said[start : start + PID], "little"))

    def reap(self) -> None:
        """Collect ended parents; if a command killed its parent, kill what it left behind."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self.all:
                self.all.discard(pid)
                self.idle.discard(pid)
                if status != 0:
                    processes.kill_below(os.getpid(), frozenset(self.all))


def run_forker(channel: socket.socket) -> None:
    """Keep spare parents ready until the runner is gone."""
    processes.become_subreaper()
    processes.die_with_parent()
    processes.hide()
    gc.disable()
    gc.freeze()
    wakeups = _wakeups()
    taken, took = os.pipe()
    parents = _Parents()
    while True:
        full = False
        while len(parents.idle) < SPARES and not full:
            try:
                parents.add(_fork_spare(channel, took))
            except OSError:
                # A fork bomb has taken every process: commands wait until it is killed.
                full = True
        ready, _, _ = select.select([taken, wakeups], [], [], AGAIN if full else 30.0)
        if wakeups in ready:
            _drain(wakeups)
        parents.reap()
        if taken in ready:
            parents.take(os.read(taken, PID * 1024))
