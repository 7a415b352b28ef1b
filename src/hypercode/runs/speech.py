"""What a model says in one call, told while it says it: in pieces, without secrets, and void when the call is tried again.

It is for watching only: nothing waits for it, and ``turn.completed`` holds the whole.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from hypercode.domain.delta import Delta
from hypercode.domain.errors import HyperCodeError
from hypercode.events.deltas import tell
from hypercode.llm.base import ModelReply
from hypercode.platform_api import types as api
from hypercode.runs.services import Services
from hypercode.runs.step import patiently

BATCH_S = 0.08
LAST_S = 0.5
Tell = Callable[[Delta], Awaitable[None]]
Redact = Callable[[str], Awaitable[str]]
"""Is given all that was said so far; returns what of it may be shown while more comes."""


async def as_it_is(text: str) -> str:
    """For a run that was given no secret."""
    return text


class Speech:
    """One model call. A reply that comes whole within a batch's time is told by its event alone, and costs nothing here."""

    def __init__(self, run_id: str, turn: int, tell: Tell, redact: Redact = as_it_is) -> None:
        self._run_id = run_id
        self._turn = turn
        self._tell = tell
        self._redact = redact
        self._begin()
        self._sender: asyncio.Task[None] | None = None
        self._sending = False

    async def __aenter__(self) -> "Speech":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    def _begin(self) -> None:
        self._attempt = secrets.token_hex(4)
        self._said = ""
        self._seen = 0
        self._told = ""
        self._ending = False

    def hear(self, text: str) -> None:
        """Take what the model says next."""
        # Lone halves of characters can't be sent, nor stored.
        self._said += text.encode(errors="replace").decode()
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while not self._ending:
            await asyncio.sleep(BATCH_S)
            if self._seen == len(self._said):
                break
            self._seen, self._sending = len(self._said), True
            with suppress(HyperCodeError):
                # Where it can't be asked what may be shown, nothing is shown.
                await self._tell_rest(await self._redact(self._said))
            self._sending = False
        self._sender = None

    async def _tell_rest(self, shown: str) -> None:
        if not shown.startswith(self._told):
            # A value that is whole only now had another beginning: all of it again, without it.
            self._attempt, self._told = secrets.token_hex(4), ""
        at, text = len(self._told), shown[len(self._told) :]
        self._told = shown
        if text:
            await self._tell(
                Delta(run_id=self._run_id, turn=self._turn, attempt=self._attempt, at=at, text=text)
            )

    async def again(self) -> None:
        """The call failed and is tried again: what was told so far is void, and whoever watches is told so."""
        await self._end()
        told = self._told
        self._begin()
        if told:
            await self._tell(
                Delta(run_id=self._run_id, turn=self._turn, attempt=self._attempt, at=0, text="")
            )

    async def _end(self) -> None:
        """Say no more; after this nothing is on its way."""
        self._ending = True
        sender, self._sender = self._sender, None
        if sender is None:
            return
        if self._sending:
            await asyncio.wait({sender}, timeout=LAST_S)
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)


def speaking(services: Services, run_id: str, turn: int, *, given_secrets: bool) -> Speech:
    """Return the speech of a run's model call; ``given_secrets`` has the tools process say what may be shown."""

    async def redact(said: str) -> str:
        return await _redacted(services, run_id, said, grows=True)

    tell_all = partial(tell, services.database)
    return Speech(run_id, turn, tell_all, redact if given_secrets else as_it_is)


async def without_secrets(services: Services, run_id: str, reply: ModelReply) -> ModelReply:
    """The reply of a run that was given secrets, its text as the tools process lets it out."""
    text = await patiently(lambda: _redacted(services, run_id, reply.text, grows=False))
    return reply.model_copy(update={"text": text})


async def _redacted(services: Services, run_id: str, text: str, *, grows: bool) -> str:
    asked = api.TextRedact(run_id=run_id, text=text, grows=grows)
    return (await services.platform.text_redact(asked)).text
