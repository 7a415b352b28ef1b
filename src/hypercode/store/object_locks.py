"""Who stores an object for a row, and who removes objects that no row names, never meet on the same object."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

OBJECTS = 7_419_014
_HOLD = text("SELECT pg_advisory_xact_lock_shared(:space, :key)")
_TAKE = text("SELECT pg_try_advisory_xact_lock(:space, :key)")


async def hold(session: AsyncSession, digest: str) -> None:
    """From here to the end of the transaction the object is not removed. Held before it is put, let go when its row is there."""
    await session.execute(_HOLD, _key(digest))


async def take(session: AsyncSession, digest: str) -> bool:
    """Have the object alone to the end of the transaction; False while somebody holds it."""
    return bool(await session.scalar(_TAKE, _key(digest)))


def _key(digest: str) -> dict[str, int]:
    return {"space": OBJECTS, "key": int.from_bytes(bytes.fromhex(digest[:8]), signed=True)}
