"""Artifacts: objects of the store by the hash of their content, a row that says whose they are."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.artifact import Artifact, ArtifactKind
from hypercode.domain.errors import NotFound
from hypercode.domain.ids import new_id
from hypercode.store.database import unhurried
from hypercode.store.object_locks import hold
from hypercode.store.objects import DiskObjects, ObjectStore
from hypercode.store.tables import ArtifactRow, RunRow

PUT_S = 120
"""A store over a network may be slow, and is asked again."""


class ArtifactStore:
    """What runs leave; the same bytes are stored once, whoever wrote them. A directory is a store too."""

    def __init__(self, objects: ObjectStore | Path) -> None:
        self.objects = DiskObjects(objects) if isinstance(objects, Path) else objects

    async def put(
        self,
        session: AsyncSession,
        run: RunRow,
        kind: ArtifactKind,
        name: str,
        data: bytes,
        media_type: str,
    ) -> ArtifactRow:
        """Store bytes; a second put of the same (run, kind, name) replaces what it names."""
        digest = hashlib.sha256(data).hexdigest()
        await hold(session, digest)
        await unhurried(session, PUT_S)
        await self.objects.put(digest, data)
        row = await session.scalar(
            select(ArtifactRow).where(
                ArtifactRow.run_id == run.id, ArtifactRow.kind == kind.value, ArtifactRow.name == name
            )
        )
        if row is None:
            row = ArtifactRow(
                id=new_id("artifact"),
                organisation_id=run.organisation_id,
                project_id=run.project_id,
                run_id=run.id,
                kind=kind.value,
                name=name,
                created_at=datetime.now(UTC),
            )
            session.add(row)
        row.sha256, row.size, row.media_type = digest, len(data), media_type
        await session.flush()
        return row

    async def read(self, row: ArtifactRow) -> bytes:
        """Return its bytes; raises NotFound, or Damaged when they are not those that were stored."""
        return await self.objects.get(row.sha256)


async def artifacts_of(session: AsyncSession, run_id: str) -> list[ArtifactRow]:
    rows = await session.scalars(
        select(ArtifactRow).where(ArtifactRow.run_id == run_id).order_by(ArtifactRow.created_at)
    )
    return list(rows)


async def get_artifact(session: AsyncSession, artifact_id: str) -> ArtifactRow:
    row = await session.get(ArtifactRow, artifact_id)
    if row is None:
        raise NotFound(f"There is no artifact {artifact_id}.")
    return row


def to_domain(row: ArtifactRow) -> Artifact:
    return Artifact(
        id=row.id,
        run_id=row.run_id,
        kind=ArtifactKind(row.kind),
        name=row.name,
        sha256=row.sha256,
        size=row.size,
        media_type=row.media_type,
        created_at=row.created_at,
    )
