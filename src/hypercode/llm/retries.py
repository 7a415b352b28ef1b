"""Waits for a provider that is busy or briefly away, and says so while it waits."""

import asyncio
from collections.abc import Awaitable, Callable

from hypercode.domain.errors import ModelFailed
from hypercode.llm.base import Model, ModelReply, ModelRequest, OnText

OnWait = Callable[[float, ModelFailed], Awaitable[None]]
PAUSES_S = (1.0, 4.0, 15.0, 60.0)
LONGEST_S = 600.0


async def complete_patiently(
    model: Model,
    request: ModelRequest,
    *,
    on_wait: OnWait,
    on_text: OnText | None = None,
    pauses_s: tuple[float, ...] = PAUSES_S,
) -> ModelReply:
    """Ask a model; for transient failures wait as long as the provider asks, or the next of ``pauses_s``.

    ``on_wait`` is told the seconds and the failure before each wait; what ``on_text`` was told is void then. Raises the last ModelFailed when the pauses
    are used up, or when the provider asks for more than ten minutes.
    """
    for pause in pauses_s:
        try:
            return await model.complete(request, on_text)
        except ModelFailed as failure:
            wait = failure.retry_after_s if failure.retry_after_s is not None else pause
            if not failure.transient or wait > LONGEST_S:
                raise
            await on_wait(wait, failure)
            await asyncio.sleep(wait)
    return await model.complete(request, on_text)
