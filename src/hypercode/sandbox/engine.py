"""The container engine: the few calls we make of it, with its failures turned into our errors."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import aiodocker
import aiohttp
from aiodocker.exceptions import DockerError
from aiodocker.stream import Stream

from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    NotFound,
    SandboxDown,
    SandboxLost,
    TooLarge,
)

DOWN_HINT = "start the container engine (Docker), check DOCKER_HOST, or run `hypercode doctor`"
UNREACHED = 900  # the library's own number for: no connection
FULL_HINT = "free disk space where the engine keeps its data (`docker system df` shows what uses it)"


def engine_error(failure: Exception) -> HyperCodeError:
    """Return the error of ours that a failure of the engine means."""
    words = failure.message if isinstance(failure, DockerError) else str(failure)
    if "no space left" in str(words).lower():
        return TooLarge("no space left on the container engine's disk", hint=FULL_HINT)
    if isinstance(failure, DockerError) and failure.status < UNREACHED:
        if failure.status == 404:
            return NotFound(f"the container engine has no such thing: {words}")
        if failure.status == 400:
            return InvalidArgument(f"the container engine refused: {words}")
        return SandboxDown(f"the container engine failed: {words}", hint=DOWN_HINT)
    # The library says "cannot connect" of connections that broke later too.
    cause = failure.__context__ if isinstance(failure, DockerError) else failure
    unasked = cause is None or isinstance(cause, aiohttp.ClientConnectorError | ConnectionRefusedError)
    kind = SandboxDown if unasked else SandboxLost
    return kind(f"the container engine does not answer: {words or type(failure).__name__}", hint=DOWN_HINT)


@asynccontextmanager
async def engine_failures() -> AsyncGenerator[None]:
    """Turn failures of the engine inside the block into errors of ours."""
    try:
        yield
    except (DockerError, aiohttp.ClientError, ConnectionError, TimeoutError, OSError) as failure:
        raise engine_error(failure) from failure


def pack(files: Iterable[tuple[str, bytes]], *, mode: int = 0o644) -> bytes:
    """Return a tar archive of (path, content), owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files:
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _connected(url: str | None) -> aiodocker.Docker:
    """The library's client. Its own connector ends at a hundred connections, and each sandbox keeps two."""
    docker = aiodocker.Docker(url)
    if isinstance(docker.connector, aiohttp.UnixConnector):
        docker.session.detach()
        docker.connector = aiohttp.UnixConnector(docker.connector.path, limit=0)
        docker.session = aiohttp.ClientSession(connector=docker.connector, timeout=aiohttp.ClientTimeout())
    return docker


class Engine:
    """A connection to the engine, opened at the first call (DOCKER_HOST or the default socket)."""

    def __init__(self, url: str | None = None) -> None:
        self._url = url
        self._docker: aiodocker.Docker | None = None

    @property
    def docker(self) -> aiodocker.Docker:
        """The client; raises SandboxDown when no engine can even be named."""
        if self._docker is None:
            try:
                self._docker = _connected(self._url)
            except (ValueError, AssertionError, OSError) as failure:
                raise SandboxDown(
                    "no container engine was found on this machine", hint=DOWN_HINT
                ) from failure
        return self._docker

    async def close(self) -> None:
        """Close the connection."""
        if self._docker is not None:
            await self._docker.close()
            self._docker = None

    def _container(self, name: str) -> Any:
        # The library types these half; the engine's answers are checked where they are read.
        return cast(Any, self.docker.containers).container(name)

    async def call(self, path: str, method: str = "GET", *, data: Any = None, **params: str) -> Any:
        """Make one call; its answer is JSON, or nothing."""
        async with engine_failures():
            query = cast(Any, self.docker)._query(
                path,
                method=method,
                data=json.dumps(data) if data is not None else None,
                params=params or None,
                headers={"Content-Type": "application/json"},
            )
            async with query as response:
                body = await response.read()
        return json.loads(body) if body else None

    async def version(self) -> dict[str, Any]:
        """Return the engine's own words about itself."""
        async with engine_failures(), asyncio.timeout(10):
            return await self.docker.version()

    async def image_id(self, reference: str) -> str | None:
        """Return the id of an image, None when the engine does not have it."""
        image = await self.image(reference)
        return None if image is None else str(image["Id"])

    async def image(self, reference: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, None when it does not have it."""
        try:
            async with engine_failures():
                return await self.docker.images.inspect(reference)
        except NotFound:
            return None

    async def create(self, name: str, config: dict[str, Any]) -> bool:
        """Create a container; False when one of this name exists."""
        try:
            async with engine_failures():
                await self.docker.containers.create(config, name=name)
        except SandboxDown as down:
            if isinstance(down.__cause__, DockerError) and down.__cause__.status == 409:
                return False
            raise
        return True

    async def start(self, name: str) -> None:
        """Start a created container."""
        async with engine_failures():
            await self._container(name).start()

    async def inspect(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of a container, None when there is none."""
        try:
            async with engine_failures():
                return await self._container(name).show()
        except NotFound:
            return None

    async def remove(self, name: str) -> None:
        """Kill and remove a container; nothing to do is fine."""
        try:
            async with engine_failures():
                await self._container(name).delete(force=True, v=True)
        except NotFound:
            return
        except SandboxDown as down:
            # 409: somebody else removes it at this very moment.
            if not (isinstance(down.__cause__, DockerError) and down.__cause__.status == 409):
                raise

    async def wait(self, name: str) -> int:
        """Wait for a container's end and return its exit code."""
        async with engine_failures():
            answer = await self._container(name).wait()
        return int(answer["StatusCode"])

    async def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container's main process; one that does not run is fine."""
        try:
            await self.call(f"containers/{name}/kill", "POST", signal=signal)
        except NotFound:
            return
        except SandboxDown as down:
            if not (isinstance(down.__cause__, DockerError) and down.__cause__.status == 409):
                raise

    async def logs(self, name: str, *, stdout: bool = True, stderr: bool = False, tail: str = "all") -> str:
        """Return a container's output."""
        async with engine_failures():
            container = self._container(name)
            lines = await container.log(stdout=stdout, stderr=stderr, tail=tail)
        return "".join(lines)

    async def stamped_logs(self, name: str, **options: str) -> list[tuple[str, str]]:
        """Return a container's output as (seconds.nanoseconds, line), both streams in order."""
        async with engine_failures():
            container = self._container(name)
            entries = await container.log(stdout=True, stderr=True, timestamps="1", **options)
        return [(_stamp(stamp), text) for stamp, _, text in (entry.partition(" ") for entry in entries)]

    async def follow(self, name: str) -> AsyncGenerator[str]:
        """Yield a container's output line by line until it ends."""
        rest = ""
        async with engine_failures():
            container = self._container(name)
            async for part in container.log(stdout=True, stderr=False, follow=True):
                *lines, rest = (rest + part).split("\n")
                for line in lines:
                    yield line
        if rest:
            yield rest

    async def put(self, name: str, path: str, archive: bytes) -> None:
        """Unpack an archive into a container (never on a tmpfs path: the container would not see it)."""
        async with engine_failures():
            await self._container(name).put_archive(path, archive)

    async def archive(self, name: str, path: str, most: int) -> bytes:
        """Return a path of a container as an archive; raises TooLarge over ``most`` bytes."""
        taken = bytearray()
        async with engine_failures():
            query = cast(Any, self.docker)._query(f"containers/{name}/archive", params={"path": path})
            async with query as response:
                async for part in response.content.iter_chunked(1 << 20):
                    taken += part
                    if len(taken) > most:
                        raise TooLarge(f"{path} is over {most // (1 << 20)} MiB")
        return bytes(taken)

    async def commit(self, name: str, config: dict[str, Any], tag: str = "") -> str:
        """Store a container as an image; return its id."""
        repository, _, version = tag.partition(":")
        named = {"repo": repository, "tag": version} if tag else {}
        answer = await self.call("commit", "POST", data=config, container=name, **named)
        return str(answer["Id"])

    async def attach_exec(self, name: str, argv: list[str], *, user: str = "") -> Stream:
        """Start a process in a container with its stdin and stdout attached."""
        async with engine_failures():
            container = self._container(name)
            execution = await container.exec(argv, stdin=True, stdout=True, stderr=False, user=user)
            stream = execution.start(detach=False)
            await stream._init()  # pyright: ignore[reportPrivateUsage] - connects now, so that failures show here
            return stream

    async def run_beside(self, name: str, argv: list[str], *, user: str) -> None:
        """Start a process in a container, and leave it there."""
        async with engine_failures():
            execution = await self._container(name).exec(argv, stdout=False, stderr=False, user=user)
            await execution.start(detach=True)

    async def create_volume(self, name: str, labels: dict[str, str]) -> None:
        """Make a volume; one that exists is kept."""
        async with engine_failures():
            await cast(Any, self.docker.volumes).create({"Name": name, "Labels": labels})

    async def has_volume(self, name: str) -> bool:
        """Whether a volume exists."""
        try:
            await self.call(f"volumes/{name}")
        except NotFound:
            return False
        return True

    async def remove_volume(self, name: str) -> None:
        """Remove a volume; nothing to do is fine."""
        try:
            async with engine_failures():
                await cast(Any, self.docker)._query_json(
                    f"volumes/{name}", method="DELETE", params={"force": "1"}
                )
        except NotFound:
            return

    async def containers(self, *labels: str) -> list[dict[str, Any]]:
        """List containers, stopped ones too, that carry all labels (``key=value``)."""
        filters = json.dumps({"label": list(labels)})
        return cast(list[dict[str, Any]], await self.call("containers/json", all="1", filters=filters))

    async def volumes(self, *labels: str, unused: bool = False) -> list[dict[str, Any]]:
        """List volumes that carry all labels; ``unused``: only those that no container mounts."""
        filters = {"label": list(labels), **({"dangling": ["true"]} if unused else {})}
        answer = await self.call("volumes", filters=json.dumps(filters))
        return cast(list[dict[str, Any]], answer.get("Volumes") or [])

    async def images(self, *labels: str) -> list[dict[str, Any]]:
        """List images that carry all labels."""
        return cast(
            list[dict[str, Any]], await self.call("images/json", filters=json.dumps({"label": list(labels)}))
        )

    async def remove_image(self, image: str) -> bool:
        """Remove an image with its names; False when it is in use."""
        return await self._removed(f"images/{image}", force="1")

    async def remove_unused_image(self, image: str) -> bool:
        """Remove an image; False when a container uses it."""
        return await self._removed(f"images/{image}")

    async def remove_unused_volume(self, name: str) -> bool:
        """Remove a volume; False when a container uses it."""
        return await self._removed(f"volumes/{name}")

    async def _removed(self, path: str, **params: str) -> bool:
        try:
            await self.call(path, "DELETE", **params)
        except NotFound:
            return False
        except SandboxDown as down:
            if isinstance(down.__cause__, DockerError) and down.__cause__.status == 409:
                return False
            raise
        return True


def _stamp(words: str) -> str:
    """Return the engine's time of a line of output as its API takes it back: seconds.nanoseconds."""
    whole, _, fraction = words.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return f"{seconds}.{fraction[:9]:0<9}"
