"""What the model is told of the tool calls that a person's interrupt left: every call is answered, and none is made anew."""

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.agents.intent import ToolOutcome
from hypercode.store.approvals import withdraw_approvals
from hypercode.store.journal import DONE
from hypercode.store.questions import withdraw_questions
from hypercode.store.tables import JournalRow

ASKS = ("PENDING_APPROVAL", "PENDING_ANSWER")


async def outcomes_so_far(session: AsyncSession, run_id: str, keys: list[str]) -> list[ToolOutcome]:
    """What the calls of these keys came to before the interrupt; what they asked people is asked no more."""
    await withdraw_approvals(session, run_id)
    await withdraw_questions(session, run_id)
    return [await _outcome_so_far(session, run_id, key) for key in keys]


async def _outcome_so_far(session: AsyncSession, run_id: str, key: str) -> ToolOutcome:
    # Under `key+approval` stands what the call came to once a person had approved it.
    named = or_(JournalRow.key == key, JournalRow.key.startswith(f"{key}+", autoescape=True))
    row = await session.scalar(
        select(JournalRow)
        .where(JournalRow.run_id == run_id, named)
        .order_by(JournalRow.started_at.desc())
        .limit(1)
    )
    if row is None:
        return _stopped("A person interrupted before this call was made. It was not made.")
    if row.state == DONE and row.result is not None:
        made = ToolOutcome(
            ok=row.result["ok"],
            code="OK" if row.result["ok"] else str(row.result["data"].get("code", "INTERNAL")),
            text=row.result["text"],
            data=row.result["data"],
        )
        if made.code not in ASKS:
            return made
        return _stopped("A person interrupted while this call waited for an answer. It was not made.")
    return _stopped("A person stopped this call. What it had done by then stands; look before you repeat it.")


def _stopped(message: str) -> ToolOutcome:
    data = {"code": "CANCELLED", "message": message, "hint": "", "retryable": False}
    return ToolOutcome(ok=False, code="CANCELLED", text=f"CANCELLED: {message}", data=data)
