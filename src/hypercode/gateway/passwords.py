"""Passwords: argon2, off the event loop, and at the same price whether or not the account exists."""

from functools import lru_cache

from anyio import to_thread
from pwdlib import PasswordHash

MIN_LENGTH = 12
MAX_LENGTH = 1000


@lru_cache(maxsize=1)
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@lru_cache(maxsize=1)
def _decoy() -> str:
    return _hasher().hash("a password that nobody has")


async def hash_password(password: str) -> str:
    return await to_thread.run_sync(_hasher().hash, password)


async def password_matches(password: str, password_hash: str | None) -> bool:
    """Compare with the hash; with none, spend the same time on a decoy and say no."""
    matches = await to_thread.run_sync(lambda: _hasher().verify(password, password_hash or _decoy()))
    return matches and bool(password_hash)
