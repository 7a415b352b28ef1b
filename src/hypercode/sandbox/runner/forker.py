"""Starts commands: a single-threaded process that forks, for each command, a small subreaper parent.

The runner has threads, so it must not fork itself; it hands over file descriptors and a description.
The parent of a command holds its control socket: a byte or its end means kill the whole tree. It answers
with one JSON line when the command has ended and nothing of its tree is left.
"""

import array
import json
import os
import select
import signal
import socket

import processes

FDS = 6  # description, working directory, stdin, stdout, stderr, control


def send_command(channel, fds):
    """Hand one command's file descriptors to the forker."""
    channel.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])


def _receive(channel):
    size = socket.CMSG_SPACE(FDS * array.array("i").itemsize)
    data, ancillary, _flags, _address = channel.recvmsg(1, size, socket.MSG_CMSG_CLOEXEC)
    fds = array.array("i")
    for _level, _kind, payload in ancillary:
        fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
    return bool(data), list(fds)


def _wakeups():
    """Return the reading end of a pipe that gets a byte for every ended child."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _drain(reader):
    try:
        while os.read(reader, 4096):
            continue
    except OSError:
        return


def _exec(description, fds, failures):
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


def _start(description, fds):
    """Fork the command; return (pid, errno of a failed exec or 0)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        # 0..2 are taken over; move ours out of the way of dup2 first.
        _exec(description, [os.dup2(fd, 100 + index, False) for index, fd in enumerate(fds)], writer)
    os.close(writer)
    failure = os.read(reader, 16)
    os.close(reader)
    return pid, int(failure or b"0")


def _wait(pid, control, wakeups):
    """Wait until the command ends or is to be killed; return its wait status, or None when to be killed."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        ready, _, _ = select.select([control, wakeups], [], [], 30.0)
        if wakeups in ready:
            _drain(wakeups)
        if control in ready:
            return None
        _reap_strangers(pid)


def _reap_strangers(pid):
    """Collect orphans that ended, but leave the command itself to _wait."""
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid == pid:
            return
        os.waitpid(found.si_pid, os.WNOHANG)


def _supervise(fds):
    """The parent of one command: start it, wait, kill what is left, say how it ended."""
    spec, control = fds[0], fds[5]
    processes.become_subreaper()
    wakeups = _wakeups()
    with os.fdopen(os.dup(spec), "rb") as stream:
        description = json.loads(stream.read())
    pid, failure = _start(description, fds)
    for fd in fds[1:5]:
        os.close(fd)
    status = _wait(pid, control, wakeups)
    processes.kill_below(os.getpid())
    answer = {"failed": failure} if failure else {"status": status}
    os.write(control, json.dumps(answer).encode() + b"\n")


def _reap(parents):
    """Collect ended parents; if a command killed its parent, kill what it left behind."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        if pid in parents:
            parents.discard(pid)
            if status != 0:
                processes.kill_below(os.getpid(), frozenset(parents))


def run_forker(channel):
    """Serve commands until the runner closes the channel."""
    processes.become_subreaper()
    processes.die_with_parent()
    processes.hide()
    wakeups = _wakeups()
    parents = set()
    while True:
        ready, _, _ = select.select([channel, wakeups], [], [], 30.0)
        if wakeups in ready:
            _drain(wakeups)
        _reap(parents)
        if channel not in ready:
            continue
        alive, fds = _receive(channel)
        if not alive:
            return
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                channel.close()
                if len(fds) == FDS:
                    _supervise(fds)
                    code = 0
            finally:
                os._exit(code)
        parents.add(pid)
        for fd in fds:
            os.close(fd)
