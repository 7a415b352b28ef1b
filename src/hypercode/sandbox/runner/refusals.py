"""The one error that operations raise: a stable code and a fact, sent back to sandboxd as they are."""


class Refused(Exception):
    """An operation that was refused or failed, with its stable code."""

    def __init__(self, code, message, hint=""):
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
