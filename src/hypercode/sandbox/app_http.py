"""HTTP to a program in a container that has no network: each connection is a relay process inside it.

Connections are kept for a short while, as a browser keeps its own: to start the relay costs far more than a request.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpcore2
from aiodocker.stream import Stream

from hypercode.domain.errors import HyperCodeError, TimedOut, TooLarge, Unavailable
from hypercode.domain.web_exchange import WebAnswer, WebHead, WebRequest, end_to_end
from hypercode.sandbox.engine import Engine, engine_failures
from hypercode.sandbox.profiles import USER, python

CONNECTIONS = 16
KEPT_S = 3.0  # less than servers keep theirs, so that none is used which the other side has just closed
# The body has no limit of time: a stream of events is silent for as long as it likes.
TIMEOUTS = {"connect": 15.0, "pool": 15.0, "write": 30.0, "read": None}
SILENT_HINT = "See container_logs: the program may not have started, or listens on another port."


class _RelayStream(httpcore2.AsyncNetworkStream):
    """The bytes of one connection, over one relay process."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = b""

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while not self._left:
            try:
                async with asyncio.timeout(timeout), engine_failures():
                    message = await self._stream.read_out()
            except HyperCodeError as failure:
                raise httpcore2.ReadError(failure.message) from failure
            except TimeoutError as failure:
                raise httpcore2.ReadTimeout("no answer") from failure
            if message is None:
                return b""
            self._left = message.data if message.stream == 1 else b""
        taken, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return taken

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            async with asyncio.timeout(timeout), engine_failures():
                await self._stream.write_in(buffer)
        except (HyperCodeError, RuntimeError) as failure:
            raise httpcore2.WriteError(str(failure)) from failure
        except TimeoutError as failure:
            raise httpcore2.WriteTimeout("the app takes no more") from failure

    async def aclose(self) -> None:
        await self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        # Asked before a kept connection is used again; one that was closed shows when it is read.
        return None


class _Relays(httpcore2.AsyncNetworkBackend):
    """Connects to ports of one container's loopback, whatever host a request names."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        argv = python("runner/connect.py", str(port))
        try:
            async with asyncio.timeout(timeout):
                stream = _RelayStream(await self._engine.attach_exec(self._name, argv, user=USER))
                if await stream.read(1) == b"+":
                    return stream
        except TimeoutError as failure:
            raise httpcore2.ConnectTimeout("the container does not answer") from failure
        except HyperCodeError as failure:
            raise httpcore2.ConnectError(failure.message) from failure
        await stream.aclose()
        raise httpcore2.ConnectError("nothing listens")


class AppHttpClient:
    """Asks the apps of one container."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._relays = _Relays(engine, name)
        self._pool = httpcore2.AsyncConnectionPool(
            max_connections=CONNECTIONS, keepalive_expiry=KEPT_S, network_backend=self._relays
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def listens(self, port: int) -> bool:
        """Whether a connection to a port is taken."""
        try:
            stream = await self._relays.connect_tcp("127.0.0.1", port, timeout=10.0)
        except (httpcore2.NetworkError, httpcore2.TimeoutException):
            return False
        await stream.aclose()
        return True

    @asynccontextmanager
    async def asked(
        self, port: int, request: WebRequest, body: bytes, timeout_s: float
    ) -> AsyncGenerator[WebAnswer]:
        """Send a request; the answer's body can be read while the block lasts."""
        with _app_failures(port):
            try:
                async with asyncio.timeout(timeout_s):
                    response = await self._pool.handle_async_request(_to_core(port, request, body))
            except TimeoutError as failure:
                raise TimedOut(f"the app did not answer within {timeout_s:g} s") from failure
        try:
            yield WebAnswer(_head(response), _body(response, port))
        finally:
            await response.aclose()


@contextmanager
def _app_failures(port: int) -> Generator[None]:
    """Turn what can go wrong with an app inside the block into errors of ours."""
    try:
        yield
    except httpcore2.PoolTimeout as failure:
        raise Unavailable(f"{CONNECTIONS} requests to the app are under way") from failure
    except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failure:
        raise Unavailable(f"nothing answers on port {port}", hint=SILENT_HINT) from failure
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as failure:
        raise Unavailable("the app sent no answer that can be read", hint=SILENT_HINT) from failure


def _to_core(port: int, request: WebRequest, body: bytes) -> httpcore2.Request:
    headers = [(name, value) for name, value in end_to_end(request.headers) if name.lower() != "host"]
    host = next((value for name, value in request.headers if name.lower() == "host"), f"localhost:{port}")
    sent = [("Host", host), *headers]
    if body or request.method not in ("GET", "HEAD", "OPTIONS"):
        sent.append(("Content-Length", str(len(body))))
    return httpcore2.Request(
        method=request.method.encode(),
        url=httpcore2.URL(scheme=b"http", host=b"app", port=port, target=request.target.encode("latin-1")),
        headers=[(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in sent],
        content=body,
        extensions={"timeout": TIMEOUTS},
    )


def _head(response: httpcore2.Response) -> WebHead:
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
    if sum(len(name) + len(value) for name, value in headers) > 64 * 1024:
        raise TooLarge("the headers of the app's answer are over 64 KiB")
    return WebHead(status=response.status, headers=end_to_end(headers))


async def _body(response: httpcore2.Response, port: int) -> AsyncGenerator[bytes]:
    with _app_failures(port):
        async for part in response.aiter_stream():
            yield part
