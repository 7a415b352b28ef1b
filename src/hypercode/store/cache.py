"""What is kept in Redis for a moment, so that Postgres is asked less often. Without a Redis nothing is kept.

- Whoever changes something marks its key before the commit. While the mark stands everyone asks Postgres and keeps
  nothing, so no order of commits, reads and writes leaves something old behind. Where a mark could not be set, since
  Redis did not answer, the lifetime of the key is the bound.
- What is kept is sealed with a key that Redis never sees: whoever can write to it can make nobody an admin.
"""

import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.database import redis_of
from hypercode.store.redis_keys import CHANGED_S, Key

if TYPE_CHECKING:
    from hypercode.store.redis_door import RedisDoor

CHANGED = "changed"


def seal_key(secret: str) -> bytes:
    """Derive the key of the seal from a secret that all gateways of an instance hold."""
    return hmac.digest(secret.encode(), b"hypercode cache", hashlib.sha256)


async def kept(session: AsyncSession, key: Key, name: str) -> str | None:
    """Return what was kept under a name; None when Postgres has to be asked."""
    door = redis_of(session)
    if door is None or door.seal_key is None:
        return None
    full = key.of(name)
    found = await door.call(lambda redis: redis.get(full), otherwise=None)
    return None if found is None or found == CHANGED else _opened(door.seal_key, key, full, found)


async def keep(session: AsyncSession, key: Key, name: str, value: str) -> None:
    """Keep what Postgres just said, unless it was changed meanwhile."""
    door = redis_of(session)
    if door is None or door.seal_key is None:
        return
    full, body = key.of(name), f"{time.time():.3f} {value}"
    sealed = f"{_seal(door.seal_key, full, body)} {body}"
    await door.call(lambda redis: redis.set(full, sealed, ex=key.lifetime_s, nx=True), otherwise=None)


async def changed(session: AsyncSession, key: Key, name: str) -> None:
    """Call before the commit of whatever changes what is kept under this name."""
    door: RedisDoor | None = redis_of(session)
    if door is not None:
        await door.call(lambda redis: redis.set(key.of(name), CHANGED, ex=CHANGED_S), otherwise=None)


def _opened(secret: bytes, key: Key, full: str, sealed: str) -> str | None:
    seal, _, body = sealed.partition(" ")
    if not hmac.compare_digest(seal.encode(), _seal(secret, full, body).encode()):
        return None
    at, _, value = body.partition(" ")
    # Also when somebody put an old one back.
    return value if time.time() - float(at) < key.lifetime_s else None


def _seal(secret: bytes, full: str, body: str) -> str:
    return hmac.digest(secret, f"{full} {body}".encode(), hashlib.sha256).hex()
