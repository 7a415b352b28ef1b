"""Errors as problem+json (RFC 9457). The only place of the gateway that knows which status an error has."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from hypercode.domain.errors import HyperCodeError, RateLimited
from hypercode.store.database import DATABASE_AWAY

logger = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"

STATUS_OF_CODE: dict[str, int] = {
    "INVALID_ARGUMENT": 422,
    "INVALID_POLICY": 422,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "POLICY_DENIED": 403,
    "PATH_OUTSIDE": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "RUN_ENDED": 409,
    "RUN_NOT_ENDED": 409,
    "RUN_BEING_CANCELLED": 409,
    "RUN_PAUSED": 409,
    "RUN_NOT_PAUSED": 409,
    "RUN_IS_CHILD": 409,
    "POINT_UNREACHABLE": 409,
    "SUPERSEDED": 409,
    "TOO_LARGE": 413,
    "RATE_LIMITED": 429,
    "BUDGET_EXCEEDED": 402,
    "TIMEOUT": 504,
    "CANCELLED": 409,
    "SECRET_IN_DIFF": 409,
    "DAMAGED": 500,
    "SANDBOX_DOWN": 503,
    "SANDBOX_LOST": 503,
    "UNAVAILABLE": 503,
}

CODE_OF_STATUS: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "TOO_LARGE",
}


class FieldProblem(BaseModel):
    """What is wrong with one field; ``field`` is its path in the body or query, dotted."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error answer. ``code`` is stable; ``hint`` says what a person can do."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    request_id: str
    errors: list[FieldProblem]


def request_id_of(scope: Mapping[str, Any]) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def problem_response(
    scope: Mapping[str, Any],
    *,
    status: int,
    code: str,
    detail: str,
    hint: str = "",
    errors: Sequence[FieldProblem] = (),
) -> JSONResponse:
    body = Problem(
        type=f"urn:hypercode:problem:{code.lower()}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        hint=hint,
        request_id=request_id_of(scope),
        errors=list(errors),
    )
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE)


def error_response(scope: Mapping[str, Any], error: HyperCodeError) -> JSONResponse:
    status = STATUS_OF_CODE.get(error.code, 500)
    response = problem_response(scope, status=status, code=error.code, detail=error.message, hint=error.hint)
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    return response


def internal_error_response(scope: Mapping[str, Any]) -> JSONResponse:
    """Say that we failed and under which request id the log has it; never the trace."""
    return problem_response(
        scope,
        status=500,
        code="INTERNAL",
        detail="The platform failed on this request.",
        hint=f"Look for request id {request_id_of(scope)} in the gateway's log.",
    )


async def _on_hypercode_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HyperCodeError):
        raise error
    return error_response(request.scope, error)


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    # The rejected input is left out on purpose: it may hold a password.
    errors = [
        FieldProblem(field=_field_name(problem["loc"]), message=_plain(problem["msg"]))
        for problem in error.errors()
    ]
    first = errors[0] if errors else FieldProblem(field="body", message="is not valid")
    return problem_response(
        request.scope,
        status=422,
        code="INVALID_ARGUMENT",
        detail=f"{first.field}: {first.message}",
        hint="Correct the fields listed under errors.",
        errors=errors,
    )


def _field_name(location: Sequence[str | int]) -> str:
    parts = [str(part) for part in location]
    if len(parts) > 1 and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    return ".".join(parts)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")


async def _on_http_error(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    response = problem_response(
        request.scope,
        status=error.status_code,
        code=CODE_OF_STATUS.get(error.status_code, "HTTP_ERROR"),
        detail=str(error.detail),
    )
    response.headers.update(error.headers or {})
    return response


async def _on_data_error(request: Request, error: Exception) -> JSONResponse:
    # Such as a NUL in a path: nothing is by this name, and the database can't even be asked.
    _ = error
    return problem_response(
        request.scope, status=422, code="INVALID_ARGUMENT", detail="A value can't be stored or looked up."
    )


async def _on_database_down(request: Request, error: Exception) -> JSONResponse:
    logger.warning("database.down", reason=type(error).__name__, request_id=request_id_of(request.scope))
    return problem_response(
        request.scope,
        status=503,
        code="UNAVAILABLE",
        detail="The database does not answer; nothing was changed.",
        hint="Try again in a moment; /readyz says what is down.",
    )


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(HyperCodeError, _on_hypercode_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(DataError, _on_data_error)
    # The driver's own among them: an append goes by its connection.
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, _on_database_down)
