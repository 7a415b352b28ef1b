"""A limit on failed sign-ins."""

import hashlib

from hypercode.domain.errors import RateLimited
from hypercode.gateway.counts import Count, Counts
from hypercode.store.redis_keys import SIGN_INS

PER_ACCOUNT = 5
PER_ADDRESS = 50


class SignInAttempts:
    """Counts attempts per (email, address) and per address. One that succeeds is taken back.

    Counted before the password is looked at: many at once would otherwise all pass before the first has failed.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    async def begin(self, email: str, address: str) -> None:
        """Raise RateLimited when this pair, or this address alone, has tried too often of late."""
        pair = await self._counts.add(SIGN_INS, _pair(email, address))
        if pair.number > PER_ACCOUNT:
            raise _too_many(pair)
        alone = await self._counts.add(SIGN_INS, _name(address))
        if alone.number > PER_ADDRESS:
            raise _too_many(alone)

    async def succeeded(self, email: str, address: str) -> None:
        await self._counts.forget(SIGN_INS, _pair(email, address))
        await self._counts.add(SIGN_INS, _name(address), -1)


def _too_many(count: Count) -> RateLimited:
    return RateLimited(
        "Too many failed sign-ins.",
        hint="Wait five minutes, then try again.",
        retry_after_s=count.ends_in_s,
    )


def _pair(email: str, address: str) -> str:
    return _name(f"{address} {email}")


def _name(text: str) -> str:
    # What people typed has no place in a key, and no bound.
    return hashlib.sha256(text.encode()).hexdigest()
