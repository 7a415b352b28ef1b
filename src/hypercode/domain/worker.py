"""A worker: a process that works on runs, for as long as it renews its lease."""

from enum import StrEnum


class WorkerState(StrEnum):
    """``stopped`` in order, its runs handed over; ``dead`` by the word of another, who takes its runs."""

    ALIVE = "alive"
    STOPPED = "stopped"
    DEAD = "dead"
