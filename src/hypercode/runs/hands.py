"""A run's session to its tools, kept open for as long as a worker works on the run.

The session lives in a task of its own, because it must be closed by the task that opened it. When the tools
process goes away in the middle of a call, the call is asked for again with the same key: the journal there
knows whether it was done.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from hypercode.agents.intent import ToolOutcome
from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.address import Address
from hypercode.domain.errors import Unavailable
from hypercode.llm.base import ToolSpec

T = TypeVar("T")
RETRY_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


class Hands:
    """The tools of one run."""

    def __init__(self, address: Address, read_token: Callable[[], Awaitable[str]]) -> None:
        self._address = address
        self._read_token = read_token
        self._session: ToolSession | None = None
        self._holder: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def list_tools(self) -> list[ToolSpec]:
        return await self._ask(lambda session: session.list_tools())

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        key: str,
        on_progress: Callable[[str], Awaitable[None]] | None = None,
    ) -> ToolOutcome:
        return await self._ask(
            lambda session: session.call(tool, arguments, key=key, on_progress=on_progress)
        )

    async def close(self) -> None:
        holder, self._holder, self._session = self._holder, None, None
        if holder is not None:
            holder.cancel()
            await asyncio.gather(holder, return_exceptions=True)

    async def _ask(self, question: Callable[[ToolSession], Awaitable[T]]) -> T:
        for pause in RETRY_PAUSES_S:
            try:
                return await question(await self._open())
            except Unavailable:
                await self.close()
                await asyncio.sleep(pause)
        return await question(await self._open())

    async def _open(self) -> ToolSession:
        async with self._opening:
            if self._session is None:
                opened: asyncio.Future[ToolSession] = asyncio.get_running_loop().create_future()
                self._holder = asyncio.create_task(self._hold(await self._read_token(), opened))
                self._session = await opened
            return self._session

    async def _hold(self, token: str, opened: asyncio.Future[ToolSession]) -> None:
        try:
            async with ToolSession(self._address, token) as session:
                opened.set_result(session)
                await asyncio.Event().wait()
        except Unavailable as error:
            if not opened.done():
                opened.set_exception(error)
