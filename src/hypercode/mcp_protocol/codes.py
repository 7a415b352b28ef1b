"""The stable codes of tool errors, and the shape in which they travel: code, message, hint, retryable."""

from hypercode.domain.errors import HyperCodeError, RateLimited
from hypercode.mcp_protocol.schemas import Closed

RETRYABLE = frozenset({"RATE_LIMITED", "SANDBOX_DOWN", "UNAVAILABLE"})
"""Codes after which the same call may go well a little later."""


class PendingApproval(HyperCodeError):
    """A person has to approve this call first."""

    code = "PENDING_APPROVAL"


class Uncertain(HyperCodeError):
    """The platform was stopped during this call; whether its effect happened is unknown."""

    code = "UNCERTAIN"


class ToolError(Closed):
    """The structured content of a tool result that is an error."""

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    retry_after_s: float | None = None


def tool_error(error: HyperCodeError) -> ToolError:
    """Say an error in the words of the protocol."""
    return ToolError(
        code=error.code,
        message=error.message[:2000],
        hint=error.hint[:2000],
        retryable=error.code in RETRYABLE,
        retry_after_s=error.retry_after_s if isinstance(error, RateLimited) else None,
    )
