"""Answering what a run asks a person, or giving it up when the time is over. Under the run's lock."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict
from hypercode.domain.event import QuestionAnswered
from hypercode.domain.question import BY_CLIENT, Answer, Question, QuestionState
from hypercode.domain.user import User
from hypercode.events import log
from hypercode.store.database import Database
from hypercode.store.questions import due_questions, get_question, to_domain
from hypercode.store.queue import resume_run
from hypercode.store.runs import locked_run
from hypercode.store.tables import QuestionRow, RunRow


async def answer_question(session: AsyncSession, user: User, question_id: str, answer: Answer) -> Question:
    """Write a person's answer down and let the run go on; raises Conflict when there is one already."""
    row = await _answered(session, user.organisation_id, question_id, answer, (user.id, user.name))
    return to_domain(row, {user.id: user.name})


async def answer_by_client(
    session: AsyncSession, organisation_id: str, question_id: str, answer: Answer
) -> None:
    """Write down what the client of the run that asks has answered, as that and not as a person's."""
    await _answered(session, organisation_id, question_id, answer, (BY_CLIENT, BY_CLIENT))


async def _answered(
    session: AsyncSession, organisation_id: str, question_id: str, answer: Answer, by: tuple[str, str]
) -> QuestionRow:
    """``by`` is who answers: what is kept of them, and their name."""
    found = await get_question(session, organisation_id, question_id)
    run = await locked_run(session, found.run_id)
    row = await get_question(session, organisation_id, question_id)
    now = datetime.now(UTC)
    state = QuestionState(row.state)
    if state is QuestionState.OPEN and row.expires_at <= now:
        state = QuestionState.EXPIRED
    if state is not QuestionState.OPEN:
        raise Conflict(
            f"The question is {state} already.", hint="Look at it again; the run may have gone on."
        )
    row.state, row.answer = QuestionState.ANSWERED.value, answer.answer.replace("\0", "\ufffd")
    row.answered_by, row.answered_at = by[0], now
    await _tell(session, run, row, by[1])
    return row


async def expire_questions(database: Database) -> int:
    """Let the runs go on that nobody answered in time; return how many questions expired."""
    async with database.transaction() as session:
        due = [(row.id, row.run_id, row.organisation_id) for row in await due_questions(session)]
    for question_id, run_id, organisation_id in due:
        async with database.transaction() as session:
            run = await locked_run(session, run_id)
            row = await get_question(session, organisation_id, question_id)
            if row.state == QuestionState.OPEN.value:
                row.state = QuestionState.EXPIRED.value
                await _tell(session, run, row, None)
    return len(due)


async def _tell(session: AsyncSession, run: RunRow, row: QuestionRow, by: str | None) -> None:
    answered = QuestionAnswered(question_id=row.id, state=QuestionState(row.state), answer=row.answer, by=by)
    await log.append(session, run.id, f"question:{row.id}:answered", [answered])
    await resume_run(session, run)
