"""How errors of ours travel over internal HTTP: a status, and a JSON body that becomes the same error again."""

from typing import Any

from hypercode.domain import errors
from hypercode.domain.errors import EnvironmentFailed, HyperCodeError

STATUS = {
    "INVALID_ARGUMENT": 400,
    "PATH_OUTSIDE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "POLICY_DENIED": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "TOO_LARGE": 413,
    "SECRET_IN_DIFF": 422,
    "ENVIRONMENT_FAILED": 422,
    "RATE_LIMITED": 429,
    "CANCELLED": 499,
    "SANDBOX_DOWN": 503,
    "SANDBOX_LOST": 503,
    "UNAVAILABLE": 503,
    "TIMEOUT": 504,
}

CLASSES: dict[str, type[HyperCodeError]] = {
    each.code: each
    for each in vars(errors).values()
    if isinstance(each, type) and issubclass(each, HyperCodeError) and each is not EnvironmentFailed
}


def http_status(error: HyperCodeError) -> int:
    return STATUS.get(error.code, 500)


def error_body(error: HyperCodeError) -> dict[str, Any]:
    body = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, EnvironmentFailed):
        body |= {"phase": error.phase, "log_tail": error.log_tail}
    return body


def rebuilt_error(body: dict[str, Any]) -> HyperCodeError:
    code, message, hint = (str(body.get(key, "")) for key in ("code", "message", "hint"))
    if code == EnvironmentFailed.code:
        return EnvironmentFailed(
            message, phase=str(body.get("phase", "")), log_tail=str(body.get("log_tail", "")), hint=hint
        )
    return CLASSES.get(code, HyperCodeError)(message, hint=hint)
