"""Artifacts: bytes on disk by the hash of their content, a row that says whose they are."""

import hashlib
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.artifact import Artifact, ArtifactKind
from hypercode.domain.errors import NotFound
from hypercode.domain.ids import new_id
from hypercode.store.tables import ArtifactRow, RunRow


class ArtifactStore:
    """A directory of blobs; the same bytes are stored once, whoever wrote them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

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
        self._write(digest, data)
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

    def read(self, row: ArtifactRow) -> bytes:
        try:
            return self._path(row.sha256).read_bytes()
        except FileNotFoundError:
            raise NotFound(
                f"The content of artifact {row.id} is gone from the artifact store.",
                hint="Restore the data directory's artifacts/ from a backup.",
            ) from None

    def _path(self, digest: str) -> Path:
        return self._directory / digest[:2] / digest

    def _write(self, digest: str, data: bytes) -> None:
        path = self._path(digest)
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A blob appears whole or not at all, also when the process is killed here.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)


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
