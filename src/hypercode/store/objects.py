"""Bytes by the SHA-256 of their content: on a disk, or in S3-compatible storage. What is read is checked against its name."""

import importlib
import os
import re
import tempfile
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Protocol, cast

from anyio import to_thread

from hypercode.domain.errors import Damaged, InvalidArgument, NotFound
from hypercode.settings import Settings

DIGEST = re.compile(r"[0-9a-f]{64}")


class ObjectStore(Protocol):
    """A store of objects. Who puts one for a row holds it first (``object_locks.hold``), so that no clean-up takes it away."""

    async def put(self, digest: str, data: bytes) -> None:
        """Store bytes under their digest, whole or not at all; once more does no harm, and mends what was damaged."""
        ...

    async def get(self, digest: str) -> bytes:
        """Return the bytes; raises NotFound, or Damaged when they are not those that were stored."""
        ...

    async def has(self, digest: str) -> bool:
        """Whether there is such an object, damaged or not."""
        ...

    async def delete(self, digest: str) -> None:
        """Remove it; one that is gone already is fine."""
        ...

    def digests(self) -> AsyncIterator[str]:
        """Yield the digests of all objects."""
        ...


def open_objects(settings: Settings) -> ObjectStore:
    """The store of this instance: a bucket where one is named, else the data directory. Its library is loaded only then."""
    if settings.artifacts.s3_bucket is None:
        return DiskObjects(settings.artifacts_dir)
    try:
        module = importlib.import_module("hypercode.store.objects_s3")
    except ModuleNotFoundError as error:
        raise InvalidArgument(
            "HYPERCODE_ARTIFACTS__S3_BUCKET needs the extra s3.", hint="pip install 'hypercode-platform[s3]'"
        ) from error
    return cast(ObjectStore, module.open_bucket(settings.artifacts))


def checked(digest: str, data: bytes) -> bytes:
    """Return the data; raises Damaged when the digest is another's."""
    if sha256(data).hexdigest() != digest:
        raise Damaged(
            f"The stored object {digest} is not what was stored: its content has another hash.",
            hint="It was changed or broke. Restore it from a backup, and find out who can write there.",
        )
    return data


def gone(digest: str) -> NotFound:
    return NotFound(
        f"The object {digest} is gone from the artifact store.",
        hint="Restore the data directory's artifacts/, or the bucket, from a backup.",
    )


class DiskObjects:
    """A directory of files; each is there whole, and on the disk, or not at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def put(self, digest: str, data: bytes) -> None:
        await to_thread.run_sync(self._write, digest, data)

    async def get(self, digest: str) -> bytes:
        try:
            data = await to_thread.run_sync(self._path(digest).read_bytes)
        except FileNotFoundError:
            raise gone(digest) from None
        return checked(digest, data)

    async def has(self, digest: str) -> bool:
        return await to_thread.run_sync(self._path(digest).exists)

    async def delete(self, digest: str) -> None:
        await to_thread.run_sync(lambda: self._path(digest).unlink(missing_ok=True))

    async def digests(self) -> AsyncIterator[str]:
        for digest in await to_thread.run_sync(self._names):
            yield digest

    def _names(self) -> list[str]:
        return sorted(path.name for path in self._directory.glob("??/*") if DIGEST.fullmatch(path.name))

    def _path(self, digest: str) -> Path:
        return self._directory / digest[:2] / digest

    def _write(self, digest: str, data: bytes) -> None:
        path = self._path(digest)
        if path.exists() and sha256(path.read_bytes()).hexdigest() == digest:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Rows are removed because an archive is there: its name has to outlive a power cut too."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
