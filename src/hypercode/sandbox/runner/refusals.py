"""The one error that operations raise: a stable code and a fact, sent back to sandboxd as they are."""

from __future__ import annotations


class Refused(Exception):
    """An operation that was refused or failed, with its stable code."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


NO_PROCESS_LEFT = (
    "RATE_LIMITED",
    "the sandbox has no process left to start",
    "end some: sh_kill, or wait for a command's time limit",
)
