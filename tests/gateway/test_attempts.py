"""The limit on failed sign-ins."""

import pytest
from tests.fixtures.redis_server import RedisServer

from hypercode.domain.errors import RateLimited
from hypercode.gateway.attempts import PER_ACCOUNT, PER_ADDRESS, SignInAttempts
from hypercode.gateway.counts import KEYS_KEPT, MemoryCounts, RedisCounts
from hypercode.store.database import Database
from hypercode.store.redis_keys import SIGN_INS

pytestmark = pytest.mark.anyio


async def test_attempts_count_by_account_and_address_and_are_forgotten() -> None:
    now = [0.0]
    attempts = SignInAttempts(MemoryCounts(now=lambda: now[0]))
    for _ in range(PER_ACCOUNT):
        await attempts.begin("ada", "10.0.0.1")
    with pytest.raises(RateLimited) as refused:
        await attempts.begin("ada", "10.0.0.1")
    assert refused.value.retry_after_s == SIGN_INS.lifetime_s
    await attempts.begin("ada", "10.0.0.2")
    await attempts.begin("bob", "10.0.0.1")
    now[0] = SIGN_INS.lifetime_s + 1
    await attempts.begin("ada", "10.0.0.1")


async def test_one_address_can_not_try_every_account() -> None:
    attempts = SignInAttempts(MemoryCounts(now=lambda: 0.0))
    for number in range(PER_ADDRESS):
        await attempts.begin(f"user{number}", "10.0.0.1")
    with pytest.raises(RateLimited):
        await attempts.begin("somebody else", "10.0.0.1")


async def test_who_signs_in_all_day_is_never_refused() -> None:
    attempts = SignInAttempts(MemoryCounts(now=lambda: 0.0))
    for _ in range(PER_ADDRESS * 2):
        await attempts.begin("ada", "10.0.0.1")
        await attempts.succeeded("ada", "10.0.0.1")


async def test_a_flood_of_names_takes_bounded_memory() -> None:
    counts = MemoryCounts(now=lambda: 0.0)
    for number in range(KEYS_KEPT + 5):
        await counts.add(SIGN_INS, f"user{number}")
    assert len(counts._counts) == KEYS_KEPT  # pyright: ignore[reportPrivateUsage]


async def test_attempts_are_counted_also_while_redis_is_away(
    redis_database: Database, redis_server: RedisServer
) -> None:
    assert redis_database.redis is not None
    attempts = SignInAttempts(RedisCounts(redis_database.redis, MemoryCounts()))
    for _ in range(PER_ACCOUNT - 1):
        await attempts.begin("ada", "10.0.0.1")
    redis_server.kill()
    for _ in range(PER_ACCOUNT):
        await attempts.begin("ada", "10.0.0.1")
    with pytest.raises(RateLimited):
        await attempts.begin("ada", "10.0.0.1")
