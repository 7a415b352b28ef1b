"""Signals that reach into a worker: a person's cancel, the end of a child run.

A signal only says "look": what counts is in the database, so a lost one is found again by the next look.
"""

import asyncio
from collections import defaultdict


class RunControl:
    """One event a run and kind of signal, for the runs that this process works on."""

    def __init__(self) -> None:
        self._cancelled: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._children: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def cancelled(self, run_id: str) -> asyncio.Event:
        return self._cancelled[run_id]

    def child_ended(self, run_id: str) -> asyncio.Event:
        return self._children[run_id]

    def forget(self, run_id: str) -> None:
        self._cancelled.pop(run_id, None)
        self._children.pop(run_id, None)
