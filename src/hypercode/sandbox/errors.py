"""Errors over a wire: from (code, message, hint) back to the class of the error tree."""

from typing import Any

from hypercode.domain import errors
from hypercode.domain.errors import EnvironmentFailed, HyperCodeError

_CLASSES: dict[str, type[HyperCodeError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, HyperCodeError) and kind is not EnvironmentFailed
}


def error_of(code: str, message: str, hint: str = "") -> HyperCodeError:
    """Return the error with this code; an unknown code is a HyperCodeError."""
    return _CLASSES.get(code, HyperCodeError)(message, hint=hint)


def error_body(error: HyperCodeError) -> dict[str, Any]:
    """Return an error's JSON form."""
    body: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, EnvironmentFailed):
        body |= {"phase": error.phase, "log_tail": error.log_tail}
    return body


def error_from(body: dict[str, Any]) -> HyperCodeError:
    """Return the error that a JSON body describes."""
    code, message, hint = (str(body.get(key, "")) for key in ("code", "message", "hint"))
    if code == EnvironmentFailed.code:
        phase, tail = str(body.get("phase", "")), str(body.get("log_tail", ""))
        return EnvironmentFailed(message, phase=phase, log_tail=tail, hint=hint)
    return error_of(code, message or "sandboxd answered with an error", hint)
