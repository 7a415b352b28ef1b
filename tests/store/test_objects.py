"""Objects on a disk and in S3-compatible storage keep the same promises; none that is about to be named is removed."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from tests.fixtures.rows import make_run
from tests.fixtures.s3_server import BUCKET, S3Server

from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.errors import Damaged, InvalidArgument, NotFound, Unavailable
from hypercode.settings import ArtifactSettings, Settings
from hypercode.store.artifacts import ArtifactStore, get_artifact
from hypercode.store.database import Database
from hypercode.store.object_cleaning import clean_objects, look_at_objects
from hypercode.store.objects import DiskObjects, ObjectStore, open_objects
from hypercode.store.runs import get_run

pytestmark = pytest.mark.anyio
DATA = b"one diff\n"
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    server.start()
    yield server
    server.close()


def bucket(server: S3Server, directory: Path, **changed: str) -> Settings:
    for name in ("access", "secret"):
        (directory / name).write_text(f"{name}-key\n")
    values = {
        "s3_bucket": BUCKET, "s3_endpoint": server.url, "s3_prefix": "here",
        "s3_access_key_file": directory / "access", "s3_secret_key_file": directory / "secret",
    } | changed  # fmt: skip
    return Settings(data_dir=directory, artifacts=ArtifactSettings.model_validate(values))


@pytest.fixture(params=["disk", "s3"])
async def objects(
    request: pytest.FixtureRequest, tmp_path: Path, s3_server: S3Server
) -> AsyncIterator[ObjectStore]:
    settings = Settings(data_dir=tmp_path) if request.param == "disk" else bucket(s3_server, tmp_path)
    store = open_objects(settings)
    yield store
    for digest in [digest async for digest in store.digests()]:
        await store.delete(digest)


def damage(objects: ObjectStore, server: S3Server, directory: Path) -> None:
    if isinstance(objects, DiskObjects):
        (directory / "artifacts" / DIGEST[:2] / DIGEST).write_bytes(b"another\n")
    else:
        server.overwrite(f"here/{DIGEST[:2]}/{DIGEST}", b"another\n")


async def test_what_is_put_is_there_until_it_is_deleted(objects: ObjectStore) -> None:
    assert not await objects.has(DIGEST)
    for _ in range(2):
        await objects.put(DIGEST, DATA)
    assert await objects.has(DIGEST)
    assert await objects.get(DIGEST) == DATA
    assert [digest async for digest in objects.digests()] == [DIGEST]
    for _ in range(2):
        await objects.delete(DIGEST)
    assert not await objects.has(DIGEST)
    with pytest.raises(NotFound):
        await objects.get(DIGEST)


async def test_an_object_that_was_changed_is_found_and_mended_by_a_put(
    objects: ObjectStore, s3_server: S3Server, tmp_path: Path
) -> None:
    await objects.put(DIGEST, DATA)
    damage(objects, s3_server, tmp_path)
    with pytest.raises(Damaged, match=DIGEST):
        await objects.get(DIGEST)
    await objects.put(DIGEST, DATA)
    assert await objects.get(DIGEST) == DATA


async def test_many_objects_are_all_listed(objects: ObjectStore) -> None:
    many = {sha256(data).hexdigest(): data for data in (str(number).encode() for number in range(120))}
    await asyncio.gather(*(objects.put(digest, data) for digest, data in many.items()))
    assert {digest async for digest in objects.digests()} == set(many)


async def test_objects_that_no_row_names_are_removed(database: Database, objects: ObjectStore) -> None:
    run_id, store = await make_run(database), ArtifactStore(objects)
    await objects.put(DIGEST, DATA)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        kept = await store.put(session, run, ArtifactKind.DIFF, "kept", b"kept", "text/plain")
    assert (await look_at_objects(database, objects)).unnamed == [DIGEST]
    assert await clean_objects(database, objects) == 1
    async with database.transaction() as session:
        assert await store.read(await get_artifact(session, kept.id)) == b"kept"
    assert not await objects.has(DIGEST)


async def test_an_object_that_is_about_to_be_named_is_left(database: Database, objects: ObjectStore) -> None:
    """Its bytes were there before, named by no row: the one moment in which a clean-up could take them away."""
    run_id, store = await make_run(database), ArtifactStore(objects)
    await objects.put(DIGEST, DATA)
    async with database.transaction() as session:
        run = await get_run(session, run_id)
        row = await store.put(session, run, ArtifactKind.DIFF, "d", DATA, "text/plain")
        assert await clean_objects(database, objects) == 0
    assert await clean_objects(database, objects) == 0
    async with database.transaction() as session:
        assert await store.read(await get_artifact(session, row.id)) == DATA


async def test_puts_and_clean_ups_at_the_same_time(database: Database, tmp_path: Path) -> None:
    run_id, store = await make_run(database), ArtifactStore(tmp_path)

    async def put(number: int) -> str:
        async with database.transaction() as session:
            run = await get_run(session, run_id)
            # Few contents for many names, and each name replaces its content: objects lose their last row and get it again.
            data = str(number % 3).encode()
            return (await store.put(session, run, ArtifactKind.LOG, f"n{number % 4}", data, "text/plain")).id

    for start in range(0, 60, 4):
        await asyncio.gather(*(put(start + n) for n in range(4)), clean_objects(database, store.objects))
    ids = [await put(60 + n) for n in range(4)]
    async with database.transaction() as session:
        for number, id_ in enumerate(ids):
            assert await store.read(await get_artifact(session, id_)) == str((60 + number) % 3).encode()


async def test_a_store_that_does_not_answer_is_named_without_its_keys(
    tmp_path: Path, s3_server: S3Server
) -> None:
    nothing = bucket(s3_server, tmp_path, s3_bucket="not-there")
    with pytest.raises(Unavailable) as caught:
        await open_objects(nothing).put(DIGEST, DATA)
    assert "secret-key" not in caught.value.message
    (tmp_path / "secret").unlink()
    with pytest.raises(InvalidArgument, match="key file"):
        open_objects(nothing.model_copy(update={"artifacts": nothing.artifacts}))


async def test_a_half_written_file_is_no_object(tmp_path: Path) -> None:
    objects = DiskObjects(tmp_path)
    await objects.put(DIGEST, DATA)
    (tmp_path / DIGEST[:2] / "tmphalf").write_bytes(b"ha")
    os.makedirs(tmp_path / "zz")
    assert [digest async for digest in objects.digests()] == [DIGEST]
