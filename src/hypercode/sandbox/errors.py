"""Errors over a wire: from (code, message, hint) back to the class of the error tree."""

import json
from typing import Any

import httpx2

from hypercode.domain import errors
from hypercode.domain.errors import EnvironmentFailed, HyperCodeError, SandboxDown, SandboxLost

GONE_HINT = "sandboxd is not running or was restarted; its log says why"
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)

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


def refusal(body: bytes) -> HyperCodeError:
    """Return the error that sandboxd answered with."""
    try:
        return error_from(json.loads(body))
    except (ValueError, AttributeError):
        return SandboxDown("sandboxd sent an answer that can't be read", hint=GONE_HINT)


def gone(failure: httpx2.HTTPError) -> SandboxDown:
    """Return what no answer means: nothing was asked, or something was and nobody will say what became of it."""
    kind = SandboxDown if isinstance(failure, _NOT_SENT) else SandboxLost
    return kind(f"sandboxd does not answer ({type(failure).__name__})", hint=GONE_HINT)
