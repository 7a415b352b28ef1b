"""The one error tree. Every error states a fact, a stable code, and what a person can do about it."""


class HyperCodeError(Exception):
    """Base of all errors of ours: ``code`` is stable, ``message`` states the fact, ``hint`` what to do."""

    code = "INTERNAL"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidArgument(HyperCodeError):
    """The caller sent something that does not fit; nothing was done."""

    code = "INVALID_ARGUMENT"


class InvalidPolicy(InvalidArgument):
    """A policy can't be used; the message names the line and the field."""

    code = "INVALID_POLICY"


class NotFound(HyperCodeError):
    """The named thing does not exist, or is not the caller's to see."""

    code = "NOT_FOUND"


class Conflict(HyperCodeError):
    """The thing is in a state that rules this out."""

    code = "CONFLICT"


class RunEnded(Conflict):
    """The run has ended, so nothing reaches it any more."""

    code = "RUN_ENDED"


class RunNotEnded(Conflict):
    """The run still goes on, and this is for one that has ended."""

    code = "RUN_NOT_ENDED"


class RunBeingCancelled(Conflict):
    """The run is being stopped, so nothing else is done with it."""

    code = "RUN_BEING_CANCELLED"


class RunPaused(Conflict):
    """The run is paused already, or will be at its next legal boundary."""

    code = "RUN_PAUSED"


class RunNotPaused(Conflict):
    """The run is not paused."""

    code = "RUN_NOT_PAUSED"


class RunIsChild(Conflict):
    """Another run delegated this one, and this is only for the run that began the task."""

    code = "RUN_IS_CHILD"


class PointUnreachable(Conflict):
    """There is no going on from that event: it is not there, too early, or its workspace was not kept."""

    code = "POINT_UNREACHABLE"


class Superseded(Conflict):
    """Something else was decided before this could be done."""

    code = "SUPERSEDED"


class Unauthenticated(HyperCodeError):
    """No valid sign-in, token or key came with the call."""

    code = "UNAUTHENTICATED"


class PermissionDenied(HyperCodeError):
    """Signed in, but the role is not enough."""

    code = "PERMISSION_DENIED"


class PolicyDenied(HyperCodeError):
    """A policy rule forbids the call, or none allows it."""

    code = "POLICY_DENIED"


class PathOutside(HyperCodeError):
    """A path leaves the workspace."""

    code = "PATH_OUTSIDE"


class RateLimited(HyperCodeError):
    """Too many calls in too short a time; ``retry_after_s`` says when the next one may pass."""

    code = "RATE_LIMITED"

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 60.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class TimedOut(HyperCodeError):
    """The work took longer than its limit and was stopped."""

    code = "TIMEOUT"


class Cancelled(HyperCodeError):
    """A person stopped it."""

    code = "CANCELLED"


class TooLarge(HyperCodeError):
    """Input or output is over its cap."""

    code = "TOO_LARGE"


class BudgetExceeded(HyperCodeError):
    """The task's budget does not cover the next call."""

    code = "BUDGET_EXCEEDED"


class SandboxDown(HyperCodeError):
    """The container engine or the sandbox is gone or does not answer."""

    code = "SANDBOX_DOWN"


class SandboxLost(SandboxDown):
    """The sandbox, or what holds it, went away in the middle of a request: what that has done is not known."""

    code = "SANDBOX_LOST"


class EnvironmentFailed(HyperCodeError):
    """The project's environment could not be made; ``phase`` and ``log_tail`` say where and how."""

    code = "ENVIRONMENT_FAILED"

    def __init__(self, message: str, *, phase: str, log_tail: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.phase = phase
        self.log_tail = log_tail


class ModelFailed(HyperCodeError):
    """The model's provider refused, failed or sent something unusable.

    ``transient`` says that the same request may succeed later, ``retry_after_s`` when, if the provider told.
    """

    code = "MODEL_FAILED"

    def __init__(
        self, message: str, *, hint: str = "", transient: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient
        self.retry_after_s = retry_after_s


class Damaged(HyperCodeError):
    """What is stored is not what was stored: its hash is another one."""

    code = "DAMAGED"


class SecretInDiff(HyperCodeError):
    """The diff holds the value of a secret that the run was given; it stays inside."""

    code = "SECRET_IN_DIFF"


class Unavailable(HyperCodeError):
    """A part of the platform that this needs is not running."""

    code = "UNAVAILABLE"
