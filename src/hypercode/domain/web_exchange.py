"""An HTTP request to an app in a container, and its answer, as they travel between our processes.

The answer's wire form is one line of JSON (the head), then the body as it comes, so that a stream stays one.
Headers of one connection stay on that connection; which others are left out is decided where a person's browser
is answered.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hypercode.domain.errors import TooLarge

MAX_HEAD = 256 * 1024
MAX_BODY = 8 * 1024 * 1024
"""Bytes of a request's body."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

Target = Annotated[
    str, StringConstraints(pattern=r"^/([^/\\\x00-\x20\x7f-\U0010ffff][^\x00-\x20\x7f-\U0010ffff]*)?$")
]
"""A path with its query: relative to the app, never ``//host`` nor an absolute URL."""

Header = tuple[
    Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}$")],
    Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0a-\x1f\x7f]*$", max_length=32_768)],
]


class WebRequest(BaseModel):
    """A request to the app: what is the app's own, nothing of the platform's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(pattern=r"^[A-Z]{1,20}$")
    target: Target = Field(max_length=16_384)
    headers: list[Header] = Field(default_factory=list[Header], max_length=200)
    body_b64: str = Field(default="", max_length=MAX_BODY * 2)


class WebHead(BaseModel):
    """The head of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: int = Field(ge=200, le=599)
    headers: list[tuple[str, str]]

    def line(self) -> bytes:
        """The head's wire form."""
        return self.model_dump_json().encode() + b"\n"


@dataclass(frozen=True)
class WebAnswer:
    """An answer whose body is still coming; closing the body ends the exchange."""

    head: WebHead
    body: AsyncGenerator[bytes]


async def begun(exchange: AbstractAsyncContextManager[WebAnswer]) -> WebAnswer:
    """Begin an exchange, so that what goes wrong before its head is raised here; its body ends it."""
    parts = _parts(exchange)
    head = await anext(parts)
    return WebAnswer(WebHead.model_validate_json(head), parts)


async def _parts(exchange: AbstractAsyncContextManager[WebAnswer]) -> AsyncGenerator[bytes]:
    async with exchange as answer:
        yield answer.head.line()
        async for part in answer.body:
            yield part


async def wire_form(answer: WebAnswer) -> AsyncGenerator[bytes]:
    """Yield the answer's wire form."""
    async with aclosing(answer.body):
        yield answer.head.line()
        async for part in answer.body:
            yield part


async def from_wire(parts: AsyncIterator[bytes]) -> WebAnswer:
    """Read the head off the wire; raises ValueError for what is none, and TooLarge."""
    taken = bytearray()
    async for part in parts:
        taken += part
        end = taken.find(b"\n")
        if end >= 0:
            head = WebHead.model_validate_json(bytes(taken[:end]))
            return WebAnswer(head, _rest(bytes(taken[end + 1 :]), parts))
        if len(taken) > MAX_HEAD:
            raise TooLarge("the head of the app's answer is over 256 KiB")
    raise ValueError("the answer ended before its head")


async def _rest(first: bytes, parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for part in parts:
        yield part


def end_to_end(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out the headers that belong to one connection, those that ``Connection`` names too."""
    named = {
        word.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for word in value.split(",")
    }
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP | named]
