"""The limit on failed sign-ins."""

import pytest

from hypercode.domain.errors import RateLimited
from hypercode.gateway.attempts import KEYS_KEPT, PER_ADDRESS, WINDOW_S, FailedAttempts


def test_failures_count_by_account_and_address_and_are_forgotten() -> None:
    now = [0.0]
    attempts = FailedAttempts(now=lambda: now[0])
    for _ in range(5):
        attempts.failed("ada", "10.0.0.1")
    with pytest.raises(RateLimited):
        attempts.check("ada", "10.0.0.1")
    attempts.check("ada", "10.0.0.2")
    attempts.check("bob", "10.0.0.1")
    now[0] = WINDOW_S + 1
    attempts.check("ada", "10.0.0.1")


def test_one_address_can_not_try_every_account() -> None:
    attempts = FailedAttempts(now=lambda: 0.0)
    for number in range(PER_ADDRESS):
        attempts.check(f"user{number}", "10.0.0.1")
        attempts.failed(f"user{number}", "10.0.0.1")
    with pytest.raises(RateLimited):
        attempts.check("somebody else", "10.0.0.1")


def test_a_flood_of_names_takes_bounded_memory() -> None:
    attempts = FailedAttempts(now=lambda: 0.0)
    for number in range(KEYS_KEPT):
        attempts.failed(f"user{number}", f"address{number}")
    assert len(attempts._failures) == KEYS_KEPT  # pyright: ignore[reportPrivateUsage]
