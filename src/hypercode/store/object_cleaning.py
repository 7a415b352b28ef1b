"""Objects that no row names: left by a kill between an object and its row, by a replaced artifact, by a restored archive."""

from dataclasses import dataclass

from sqlalchemy import exists, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.store.database import Database, unhurried
from hypercode.store.object_locks import take
from hypercode.store.objects import ObjectStore
from hypercode.store.tables import ArchiveRow, ArtifactRow

NAMED_BY = (ArtifactRow.sha256, ArchiveRow.sha256)
"""Every column that names objects."""


@dataclass(frozen=True)
class Objects:
    """How many objects there are, and those that no row names."""

    number: int
    unnamed: list[str]


async def look_at_objects(database: Database, objects: ObjectStore) -> Objects:
    """List the store and compare it with the rows; nothing is removed."""
    found = [digest async for digest in objects.digests()]
    async with database.transaction() as session:
        named = set(await session.scalars(union(*(select(column) for column in NAMED_BY))))
    return Objects(len(found), [digest for digest in found if digest not in named])


async def clean_objects(database: Database, objects: ObjectStore) -> int:
    """Remove objects that no row names; one that somebody is about to name is left. Returns how many were removed."""
    removed = 0
    for digest in (await look_at_objects(database, objects)).unnamed:
        async with database.transaction() as session:
            await unhurried(session)
            if await take(session, digest) and not await _named(session, digest):
                await objects.delete(digest)
                removed += 1
    return removed


async def _named(session: AsyncSession, digest: str) -> bool:
    for column in NAMED_BY:
        if await session.scalar(select(exists().where(column == digest))):
            return True
    return False
