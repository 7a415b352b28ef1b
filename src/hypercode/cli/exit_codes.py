"""What a command that follows a run ends with. docs/reference/cli.md says the same."""

from hypercode.domain.event import RunFinished

VERIFIED, BELOW_GRADE, USAGE, REFUSED, BUDGET, PLATFORM, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
EXIT_BY_CODE = {
    "INVALID_ARGUMENT": USAGE,
    "INVALID_POLICY": USAGE,
    "NOT_FOUND": USAGE,
    "POLICY_DENIED": REFUSED,
    "PERMISSION_DENIED": REFUSED,
    "BUDGET_EXCEEDED": BUDGET,
    "CANCELLED": INTERRUPTED,
}


def exit_code(payload: RunFinished) -> int:
    """Return what a run's end means as an exit code."""
    if payload.error_code is not None and payload.error_code in EXIT_BY_CODE:
        # Bad input that shows only in the container (an empty repository) is bad input still.
        return EXIT_BY_CODE[payload.error_code]
    if payload.verified:
        return VERIFIED
    if payload.attestation is None:
        return PLATFORM
    return BELOW_GRADE
