"""The stable codes of tool errors, and the shape in which they travel: code, message, hint, retryable."""

from hypercode.domain.errors import HyperCodeError, RateLimited
from hypercode.mcp_protocol.schemas import Closed

RETRYABLE = frozenset({"RATE_LIMITED", "SANDBOX_DOWN", "UNAVAILABLE"})
"""Codes after which the same call may go well a little later."""


class PendingApproval(HyperCodeError):
    """A person has to approve this call first; ``approval_id`` names what they are asked."""

    code = "PENDING_APPROVAL"

    def __init__(self, message: str, *, hint: str = "", approval_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.approval_id = approval_id


class PendingAnswer(HyperCodeError):
    """A person has to answer a question first; ``question_id`` names it."""

    code = "PENDING_ANSWER"

    def __init__(self, message: str, *, hint: str = "", question_id: str = "") -> None:
        super().__init__(message, hint=hint)
        self.question_id = question_id


class Uncertain(HyperCodeError):
    """The platform was stopped during this call; whether its effect happened is unknown."""

    code = "UNCERTAIN"


class ToolError(Closed):
    """The structured content of a tool result that is an error; the ids name what a person is asked."""

    code: str
    message: str
    hint: str = ""
    retryable: bool = False
    retry_after_s: float | None = None
    approval_id: str | None = None
    question_id: str | None = None


def tool_error(error: HyperCodeError) -> ToolError:
    """Say an error in the words of the protocol."""
    return ToolError(
        code=error.code,
        message=error.message[:2000],
        hint=error.hint[:2000],
        retryable=error.code in RETRYABLE,
        retry_after_s=error.retry_after_s if isinstance(error, RateLimited) else None,
        approval_id=error.approval_id if isinstance(error, PendingApproval) else None,
        question_id=error.question_id if isinstance(error, PendingAnswer) else None,
    )
