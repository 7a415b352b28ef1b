"""Objects in S3-compatible storage, by ``obstore`` (the Rust crate object_store). Loaded only where a bucket is named."""

from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from obstore.exceptions import BaseError
from obstore.store import S3Store

from hypercode.domain.errors import InvalidArgument, Unavailable
from hypercode.settings import ArtifactSettings
from hypercode.store.objects import DIGEST, checked, gone

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


def open_bucket(settings: ArtifactSettings) -> "S3Objects":
    """Make the store; nothing is asked for yet. Without key files the usual places of AWS are looked at."""
    config: S3Config = {"region": settings.s3_region}
    client: ClientConfig = {"connect_timeout": "5s", "timeout": "60s"}
    if settings.s3_endpoint is not None:
        config["endpoint"] = settings.s3_endpoint
        client["allow_http"] = settings.s3_endpoint.startswith("http://")
    if settings.s3_access_key_file is not None and settings.s3_secret_key_file is not None:
        config["access_key_id"] = _secret(settings.s3_access_key_file)
        config["secret_access_key"] = _secret(settings.s3_secret_key_file)
    store = S3Store(
        settings.s3_bucket or "",
        prefix=settings.s3_prefix or None,
        config=config,
        client_options=client,
        retry_config=RETRIES,
    )
    return S3Objects(store)


def _secret(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise InvalidArgument(
            f"The key file {path} can't be read: {error.strerror}.",
            hint="See docs/reference/settings.md, artifacts.",
        ) from None


@contextmanager
def _told() -> Generator[None]:
    """The library's words are kept out of ours: they may hold an address with its signature."""
    try:
        yield
    except (BaseError, OSError) as error:
        raise Unavailable(
            f"The artifact store does not answer as it should ({type(error).__name__}).",
            hint="Look at the bucket, its address and the keys (HYPERCODE_ARTIFACTS__S3_…).",
        ) from None


class S3Objects:
    """A bucket, or a prefix of one."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def put(self, digest: str, data: bytes) -> None:
        with _told():
            await self._store.put_async(_key(digest), data)

    async def get(self, digest: str) -> bytes:
        with _told():
            try:
                data = await (await self._store.get_async(_key(digest))).bytes_async()
            except FileNotFoundError:
                raise gone(digest) from None
        return checked(digest, bytes(data))

    async def has(self, digest: str) -> bool:
        with _told():
            try:
                await self._store.head_async(_key(digest))
            except FileNotFoundError:
                return False
        return True

    async def delete(self, digest: str) -> None:
        with _told():
            try:
                await self._store.delete_async(_key(digest))
            except FileNotFoundError:
                return

    async def digests(self) -> AsyncIterator[str]:
        with _told():
            pages = cast(AsyncIterator[list[dict[str, Any]]], cast(Any, self._store).list())
            async for page in pages:
                for found in page:
                    if DIGEST.fullmatch(name := found["path"].rpartition("/")[2]):
                        yield name


def _key(digest: str) -> str:
    return f"{digest[:2]}/{digest}"
