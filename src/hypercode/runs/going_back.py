"""Carrying a rewind or a fork out: the next era, and what had been answered by then of a step in its middle."""

import re
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.event import RunStatusChanged
from hypercode.domain.run import RunStatus
from hypercode.domain.steering import CommandState, Verb
from hypercode.events import log
from hypercode.events.eras import prefix_of
from hypercode.runs.eras import head_of, line_to, told_by
from hypercode.runs.settling import settle
from hypercode.runs.stopping import stop
from hypercode.store.approvals import CALL, withdraw_approvals
from hypercode.store.journal import WORKER
from hypercode.store.questions import withdraw_questions
from hypercode.store.runs import locked_tree
from hypercode.store.steering import pending_commands
from hypercode.store.tables import JournalRow, RunCommandRow, RunRow

COMPLETED = re.compile(r"tool:((\d+)\.\d+):completed")


async def apply_rewinds(session: AsyncSession, run: RunRow) -> bool:
    """Carry out the rewinds that wait; nobody works on the run, and its row is locked. False when there was none."""
    rows = await pending_commands(session, run.id, Verb.REWIND)
    for row in rows:
        await _begin_era(session, run, row)
    if rows:
        # At the point none was at work: all that are now belong to what no longer counts.
        below = [each for each in await locked_tree(session, run.id) if each.id != run.id]
        await stop(session, below, rows[-1].requested_at)
    return bool(rows)


async def _begin_era(session: AsyncSession, run: RunRow, row: RunCommandRow) -> None:
    if row.seq is None:
        raise ValueError("a rewind names an event")
    await withdraw_approvals(session, run.id)
    await withdraw_questions(session, run.id)
    await copy_answers(session, run, row.seq, run, prefix_of(run.era + 1))
    run.era += 1
    row.era, row.era_start = run.era, await head_of(session, run.id)
    await settle(session, run, row, CommandState.APPLIED)
    if run.pause_requested_at is None:
        run.status, run.wait_reason, run.waiting_since = RunStatus.RUNNING.value, None, None
        back = RunStatusChanged(
            status=RunStatus.RUNNING, wait_reason=None, detail=f"Goes on from event {row.seq}"
        )
        await log.append(session, run.id, f"era:{run.era}", [back])


async def copy_answers(session: AsyncSession, origin: RunRow, seq: int, run: RunRow, prefix: str) -> None:
    """Calls that were answered by the event are not made again, also when the step that made them was not at its end."""
    for span in await line_to(session, origin, seq):
        found = [
            match for key in await told_by(session, origin.id, span) if (match := COMPLETED.fullmatch(key))
        ]
        if not found:
            continue
        turn = max(int(match[2]) for match in found)
        for match in found:
            if int(match[2]) == turn:
                await _copy(
                    session, (origin.id, f"{span.prefix}{CALL}{match[1]}"), run, f"{prefix}{CALL}{match[1]}"
                )
        return


async def _copy(session: AsyncSession, known: tuple[str, str], run: RunRow, key: str) -> None:
    named = or_(JournalRow.key == known[1], JournalRow.key.startswith(f"{known[1]}+", autoescape=True))
    row = await session.scalar(
        select(JournalRow)
        .where(JournalRow.run_id == known[0], named)
        .order_by(JournalRow.started_at.desc())
        .limit(1)
    )
    if row is None:
        return
    values: dict[str, Any] = {
        "run_id": run.id,
        "key": key,
        "organisation_id": run.organisation_id,
        "project_id": run.project_id,
        "tool": row.tool,
        "arguments_sha256": row.arguments_sha256,
        "state": row.state,
        "owner": WORKER,
        "result": row.result,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
    }
    await session.execute(insert(JournalRow).values(values).on_conflict_do_nothing())
