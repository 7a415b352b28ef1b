"""Strict schemas: closed models, the canonical form of arguments, and paths that can't leave a workspace."""

import hashlib
import json
import unicodedata
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema

from hypercode.domain.errors import InvalidArgument, PathOutside
from hypercode.domain.tool_call import Touched

WORKSPACE = "/workspace"
"""Where a workspace is mounted; paths below it may be written absolute as well as relative."""

IDEMPOTENCY_KEY = "dev.hypercode/idempotencyKey"
"""The field of ``_meta`` that names a call, so that a repeated request does not run twice."""

CPU = "dev.hypercode/cpu"
"""The field of a result's ``_meta`` with what the meter of the run's sandbox says after a call."""


class Closed(BaseModel):
    """Base of arguments and results: no unknown fields, no coercion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Arguments(Closed):
    """Base of a tool's arguments. ``touched`` says what the call would touch, for the rules."""

    def touched(self) -> Touched:
        return Touched()


ArgumentsT = TypeVar("ArgumentsT", bound=Arguments)


def canonical_path(value: object) -> str:
    """Return a path relative to the workspace; raises PathOutside or InvalidArgument, and decodes nothing."""
    if not isinstance(value, str):
        raise InvalidArgument("a path is a string")
    if len(value.encode("utf-8", "surrogatepass")) > 4096:
        raise InvalidArgument("the path is longer than 4096 bytes")
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in value):
        raise InvalidArgument("the path has control, format or line-separator characters")
    path = value
    if path == WORKSPACE or path.startswith(WORKSPACE + "/"):
        path = path[len(WORKSPACE) :].lstrip("/") or "."
    segments = path.split("/")
    if path.startswith(("/", "~")) or ".." in segments:
        raise PathOutside(
            f"{value!r} is not a path in the workspace",
            hint="Give a path relative to the workspace, without '..'.",
        )
    return "/".join(segment for segment in segments if segment not in ("", ".")) or "."


WorkspacePath = Annotated[
    str,
    BeforeValidator(canonical_path),
    WithJsonSchema({"type": "string", "description": "Relative to the workspace."}),
]


def parse_arguments(model: type[ArgumentsT], arguments: dict[str, Any]) -> ArgumentsT:
    """Check arguments against a closed model; raises InvalidArgument naming the fields that do not fit."""
    try:
        return model.model_validate(arguments)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'arguments'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_context=False, include_input=False)[:5]
        )
        raise InvalidArgument(
            f"the arguments do not fit: {problems}", hint="See the tool's inputSchema."
        ) from error


def canonical_json(value: object) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def arguments_sha256(arguments: BaseModel | dict[str, Any]) -> str:
    """The hash that binds a decision to the exact arguments."""
    plain = arguments.model_dump(mode="json") if isinstance(arguments, BaseModel) else arguments
    return hashlib.sha256(canonical_json(plain)).hexdigest()
