"""What people told a run, as its worker reads it: words before a model call, and what stops one.

Words are taken in a transaction of the model's step, under its name. Killed after it, the step takes the same words again;
they stand in its result, so that a replay comes to the same conversation.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.steering import CommandState, Verb
from hypercode.runs.services import Services
from hypercode.runs.settling import settle
from hypercode.store.runs import get_run
from hypercode.store.steering import PENDING, interrupt_waits, pending_commands, wanted_of
from hypercode.store.tables import RunCommandRow

T = TypeVar("T")
INTERRUPTED = "(A person interrupted you, without a word.)"


class Interrupted(Exception):
    """A person stopped the call that was going on."""


async def look(services: Services, run_ids: Sequence[str]) -> None:
    """See what people want of these runs, and tell whoever works on them."""
    async with services.database.transaction() as session:
        found = await wanted_of(session, run_ids)
    for wanted in found:
        services.control.tell(wanted)


async def words_before(session: AsyncSession, run_id: str, step: str) -> list[str]:
    """Take what the agent has to read before its next model call, which is this step's."""
    return await _taken(
        session,
        run_id,
        step,
        await pending_commands(session, run_id, Verb.STEER, Verb.INTERRUPT, taken_by=step),
    )


async def words_after(session: AsyncSession, run_id: str, step: str) -> list[str]:
    """The agent wants to end: take what it has not read yet, else its next goal, if a person left one."""
    unread = await pending_commands(session, run_id, Verb.STEER, Verb.INTERRUPT)
    if not unread:
        unread = (await pending_commands(session, run_id, Verb.QUEUE))[:1]
    return await _taken(session, run_id, step, unread)


async def _taken(session: AsyncSession, run_id: str, step: str, rows: list[RunCommandRow]) -> list[str]:
    for row in rows:
        if row.state == PENDING:
            row.step = step
            await settle(session, await get_run(session, run_id), row, CommandState.APPLIED)
    return [row.text or INTERRUPTED for row in rows]


async def to_its_end(work: Awaitable[T]) -> T:
    """Do short work to its end, even when this is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def unless_interrupted(services: Services, run_id: str, work: Awaitable[T]) -> T:
    """Do the work, or raise Interrupted as soon as a person says so; the work is then cancelled to its end."""
    signal = services.control.interrupted(run_id)
    task = asyncio.ensure_future(work)
    try:
        while True:
            stop = asyncio.ensure_future(signal.wait())
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if task.done():
                return task.result()
            # The signal may be of one that was read already.
            signal.clear()
            async with services.database.transaction() as session:
                if await interrupt_waits(session, run_id):
                    signal.set()  # until its words are read
                    raise Interrupted
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
