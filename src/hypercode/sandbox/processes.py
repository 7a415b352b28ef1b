"""Processes that outlive the call that started them: their types, and the verbs for them.

A process, its output and its exit code live in the runner inside the container, so they survive a restart of
everything outside, and die with the container. Its id, 128 random bits, is known in that container alone.
"""

from typing import Protocol

from pydantic import Field

from hypercode.sandbox.strict import Strict

PROC_ID = r"^[0-9a-f]{32}$"
MAX_WAIT_MS = 10_000


class Addressed(Strict):
    """A request to one sandbox."""

    sandbox_id: str


class Ready(Strict):
    """When a process counts as ready: a line of output matches, a TCP port is listened on, or both."""

    port: int | None = Field(default=None, ge=1, le=65535)
    regex: str | None = Field(default=None, min_length=1, max_length=1000)
    timeout_s: float = Field(default=30.0, gt=0, le=300)


class ProcessStart(Addressed):
    """Start argv (no shell) in ``cwd``; with ``ready``, wait until it is or the time is over."""

    argv: list[str] = Field(min_length=1)
    cwd: str = "."
    env: dict[str, str] = Field(default_factory=dict)
    ready: Ready | None = None


class ProcessStarted(Strict):
    """A started process. ``ready`` None: nobody asked."""

    proc_id: str = Field(pattern=PROC_ID)
    ready: bool | None
    running: bool
    exit_code: int | None
    signal: int | None


class ProcessRead(Addressed):
    """Output from ``offset`` on (None: the last ``limit`` bytes), also of a log that a command left behind.

    Waits up to ``wait_ms`` for output that is not there yet, or for the end.
    """

    proc_id: str = Field(pattern=PROC_ID)
    offset: int | None = Field(default=0, ge=0)
    wait_ms: int = Field(default=0, ge=0, le=MAX_WAIT_MS)
    limit: int = Field(default=65_536, ge=1, le=1024 * 1024)


class ProcessOutput(Strict):
    """base64 of the bytes from ``offset``, later than asked for where older output was dropped; ``size`` of all."""

    data_b64: str
    offset: int = Field(ge=0)
    next_offset: int = Field(ge=0)
    size: int = Field(ge=0)
    running: bool
    exit_code: int | None
    signal: int | None


class ProcessWrite(Addressed):
    """Write to a process's stdin; ``end`` closes it when all was taken."""

    proc_id: str = Field(pattern=PROC_ID)
    data_b64: str
    end: bool = False


class ProcessWritten(Strict):
    """How many bytes the process took."""

    written: int = Field(ge=0)


class ProcessKill(Addressed):
    """Send a signal to the process's group; after ``grace_s`` its whole tree is killed."""

    proc_id: str = Field(pattern=PROC_ID)
    signal: int = Field(ge=1, le=64)
    grace_s: float = Field(default=5.0, ge=0, le=60)


class ProcessEnd(Strict):
    """How a process ended."""

    running: bool
    exit_code: int | None
    signal: int | None


class ProcessesOf(Addressed):
    """Names a sandbox."""


class ProcessSeen(Strict):
    """One process of a listing; ``size`` is how much it has written."""

    proc_id: str = Field(pattern=PROC_ID)
    argv: list[str]
    age_s: float
    size: int
    running: bool
    exit_code: int | None
    signal: int | None


class LogSeen(Strict):
    """The kept output of a command that wrote more than its reply could hold."""

    proc_id: str = Field(pattern=PROC_ID)
    size: int


class ProcessesSeen(Strict):
    """The processes and kept logs of a container, the oldest first."""

    processes: list[ProcessSeen]
    logs: list[LogSeen]


class Processes(Protocol):
    """The verbs for processes; an unknown id is NotFound."""

    async def process_start(self, request: ProcessStart) -> ProcessStarted:
        """Start a process; when cancelled before it answers, the process is dead."""
        ...

    async def process_read(self, request: ProcessRead) -> ProcessOutput:
        """Read output; cancelling it does nothing to the process."""
        ...

    async def process_write(self, request: ProcessWrite) -> ProcessWritten:
        """Write to stdin as far as the process takes it within a few seconds."""
        ...

    async def process_kill(self, request: ProcessKill) -> ProcessEnd:
        """End a process; nothing of its tree is left when this returns."""
        ...

    async def process_list(self, request: ProcessesOf) -> ProcessesSeen:
        """List what was started in a container and is still known."""
        ...
