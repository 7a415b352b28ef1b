"""The OpenAI library's client without its walk over the whole history.

Before each call the library copies every message through its type annotations, which costs more with every
turn and changes nothing here, since the messages are plain JSON already. The library's documented ``post``
sends them as they are; connection, retries, errors and answers stay the library's.
"""

from functools import cached_property
from typing import Any

from openai import AsyncOpenAI, AsyncStream, NotGiven, Omit
from openai.resources.chat import AsyncChat
from openai.resources.chat.completions import AsyncCompletions
from openai.types.chat import ChatCompletion, ChatCompletionChunk


class PlainCompletions(AsyncCompletions):
    """Chat Completions whose request body is sent as it was given."""

    async def create(self, **given: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Ask for one completion, whole or as a stream."""
        options: Any = {"security": {"bearer_auth": True}}
        options |= {
            name: value
            for name, option in (
                ("headers", "extra_headers"),
                ("timeout", "timeout"),
                ("extra_json", "extra_body"),
            )
            if (value := given.pop(option, None)) is not None and not isinstance(value, NotGiven)
        }
        given.pop("extra_query", None)
        body = {name: value for name, value in given.items() if not isinstance(value, Omit | NotGiven)}
        if not body.get("stream"):
            return await self._client.post(
                "/chat/completions",
                body=body,
                cast_to=ChatCompletion,
                options=options,
            )
        return await self._client.post(
            "/chat/completions",
            body=body,
            cast_to=ChatCompletionChunk,
            options=options,
            stream=True,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )


class PlainChat(AsyncChat):
    """The chat resource with ``PlainCompletions``."""

    @cached_property
    def completions(self) -> AsyncCompletions:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The completions resource."""
        return PlainCompletions(self._client)


class PlainOpenAI(AsyncOpenAI):
    """The library's client with ``PlainChat``."""

    @cached_property
    def chat(self) -> AsyncChat:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The chat resource."""
        return PlainChat(self)
