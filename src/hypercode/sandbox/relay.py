"""sandboxd's end of a sandbox's runner: one exec stream, framed JSON, many requests in flight."""

import asyncio
import base64
import binascii
import itertools
import json
import struct
from typing import Any, cast

from aiodocker.stream import Stream
from opentelemetry.trace import SpanKind

from hypercode.domain.errors import (
    HyperCodeError,
    InvalidArgument,
    SandboxDown,
    SandboxLost,
    TimedOut,
    TooLarge,
)
from hypercode.sandbox.engine import Engine, engine_failures
from hypercode.sandbox.errors import error_of
from hypercode.sandbox.profiles import USER, python
from hypercode.telemetry.tracing import span

HEADER = struct.Struct(">I")
MAX_REPLY = 192 * 1024 * 1024
MAX_REQUEST = 96 * 1024 * 1024
GONE_HINT = "it was stopped, ran out of memory, or the container engine went away: start it again, or see `hypercode doctor`"


class Relay:
    """One connection to one runner. What comes from inside is untrusted: capped, and checked by the caller."""

    def __init__(self, engine: Engine, container: str) -> None:
        self._engine = engine
        self._container = container
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream: Stream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._write_lock = asyncio.Lock()
        self.closed = False

    @property
    def busy(self) -> bool:
        """Whether an answer is awaited."""
        return bool(self._waiting)

    async def open(self) -> None:
        """Start the relay process and wait for the runner's first word."""
        argv = python("runner/runner.py", "--relay")
        self._stream = await self._engine.attach_exec(self._container, argv, user=USER)
        self._reader = asyncio.create_task(self._read(self._stream), name=f"relay {self._container}")
        try:
            async with asyncio.timeout(15):
                await asyncio.shield(self._hello)
        except TimeoutError as failure:
            await self.close()
            raise SandboxDown("the sandbox's runner does not answer", hint=GONE_HINT) from failure

    async def close(self) -> None:
        """Close the stream; the runner kills what this connection had running."""
        self._fail("the connection to the sandbox was closed")
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._stream is not None:
            await self._stream.close()

    async def call(self, op: str, args: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        """Make one request; when cancelled, the work inside is dead before this returns."""
        with span(f"runner {op}", SpanKind.CLIENT, container=self._container):
            return await self._asked(op, args, seconds)

    async def _asked(self, op: str, args: dict[str, Any], seconds: float) -> dict[str, Any]:
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._send({"id": number, "op": op, "args": args})
            async with asyncio.timeout(seconds):
                reply = await asyncio.shield(answer)
        except TimeoutError as failure:
            await self._abandon(number, answer)
            raise TimedOut(f"the sandbox did not answer {op} within {seconds:.0f} s") from failure
        except asyncio.CancelledError:
            await asyncio.shield(self._abandon(number, answer))
            raise
        finally:
            self._waiting.pop(number, None)
        return _opened(reply)

    async def _abandon(self, number: int, answer: "asyncio.Future[dict[str, Any]]") -> None:
        """Cancel inside and wait, bounded, for the word that the process tree is dead."""
        try:
            async with asyncio.timeout(15):
                await self._send({"cancel": number})
                await asyncio.shield(answer)
        except (TimeoutError, HyperCodeError):
            return

    async def _send(self, message: dict[str, Any]) -> None:
        if self.closed or self._stream is None:
            raise SandboxDown("the sandbox is gone", hint=GONE_HINT)
        body = json.dumps(message, separators=(",", ":")).encode()
        if len(body) > MAX_REQUEST:
            raise TooLarge("the request to the sandbox is larger than 96 MiB")
        try:
            async with self._write_lock, engine_failures():
                await self._stream.write_in(HEADER.pack(len(body)) + body)
        except SandboxDown as down:
            raise SandboxLost(down.message, hint=down.hint) from down

    async def _read(self, stream: Stream) -> None:
        buffer = bytearray()
        reason = "the sandbox is gone"
        try:
            async with engine_failures():
                while (message := await stream.read_out()) is not None:
                    if message.stream == 1:
                        buffer += message.data
                        self._take(buffer)
        except HyperCodeError as failure:
            reason = failure.message
        except (ValueError, KeyError, TypeError):
            reason = "the sandbox sent something that is no reply"
        finally:
            self._fail(reason)

    def _take(self, buffer: bytearray) -> None:
        while len(buffer) >= HEADER.size:
            (size,) = HEADER.unpack_from(buffer)
            if size > MAX_REPLY:
                raise ValueError("reply too large")
            if len(buffer) < HEADER.size + size:
                return
            reply = json.loads(bytes(buffer[HEADER.size : HEADER.size + size]))
            del buffer[: HEADER.size + size]
            self._deliver(reply)

    def _deliver(self, reply: dict[str, Any]) -> None:
        if "hello" in reply:
            if not self._hello.done():
                self._hello.set_result(None)
            return
        answer = self._waiting.get(int(reply["id"]))
        if answer is not None and not answer.done():
            answer.set_result(reply)

    def _fail(self, reason: str) -> None:
        self.closed = True
        for answer in [self._hello, *self._waiting.values()]:
            if not answer.done():
                kind = SandboxDown if answer is self._hello else SandboxLost
                answer.set_exception(kind(reason, hint=GONE_HINT))
                # Marks the exception as seen: nobody may be waiting for this one.
                answer.exception()


def _opened(reply: dict[str, Any]) -> dict[str, Any]:
    if isinstance(reply.get("ok"), dict):
        return cast(dict[str, Any], reply["ok"])
    if not isinstance(reply.get("error"), dict):
        raise SandboxDown("the sandbox sent something that is no reply")
    error = cast(dict[str, Any], reply["error"])
    code, message, hint = (str(error.get(key, "")) for key in ("code", "message", "hint"))
    raise error_of(code, message[:2000], hint[:500])


def text_of(reply: dict[str, Any], key: str) -> str:
    """Return base64 bytes of a reply as text, odd bytes replaced."""
    try:
        return base64.b64decode(str(reply[key]), validate=True).decode("utf-8", "replace")
    except (KeyError, binascii.Error) as failure:
        raise InvalidArgument("the sandbox sent something that is no reply") from failure
