"""What a sandbox answers is untrusted: it must have exactly the shape that was asked for."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hypercode.domain.errors import SandboxDown

Reply = TypeVar("Reply", bound=BaseModel)


def checked_reply(kind: type[Reply], reply: dict[str, Any]) -> Reply:
    """Return the reply as ``kind``; raises SandboxDown for anything else."""
    try:
        return kind.model_validate(reply)
    except ValidationError as failure:
        raise SandboxDown(
            "the sandbox sent something that is no reply", hint="start the sandbox again"
        ) from failure
