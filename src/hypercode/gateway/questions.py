"""Questions: what agents ask people, and the answers."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hypercode.domain.question import Answer, Question, QuestionState
from hypercode.events.questions import answer_question
from hypercode.gateway.cursors import cursor_of, read_cursor
from hypercode.gateway.deps import CurrentCaller, DbSession
from hypercode.gateway.runs import visible_run
from hypercode.store import questions
from hypercode.store.users import names_of

router = APIRouter(tags=["questions"])


class QuestionPage(BaseModel):
    """Newest first; ``next_cursor`` is null on the last page."""

    items: list[Question]
    next_cursor: str | None


class QuestionList(BaseModel):
    items: list[Question]


@router.get("/questions")
async def list_questions(
    caller: CurrentCaller,
    session: DbSession,
    state: QuestionState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> QuestionPage:
    found = await questions.list_questions(
        session, caller.user.organisation_id, state=state, limit=limit + 1, before=read_cursor(cursor)
    )
    shown = found[:limit]
    names = await names_of(session, (row.answered_by for row in shown))
    return QuestionPage(
        items=[questions.to_domain(row, names) for row in shown],
        next_cursor=cursor_of(shown[-1].requested_at, shown[-1].id) if len(found) > limit else None,
    )


@router.get("/runs/{run_id}/questions")
async def list_run_questions(run_id: str, caller: CurrentCaller, session: DbSession) -> QuestionList:
    """What this run asked, oldest first."""
    await visible_run(session, caller.user.organisation_id, run_id)
    rows = await questions.questions_of(session, run_id)
    names = await names_of(session, (row.answered_by for row in rows))
    return QuestionList(items=[questions.to_domain(row, names) for row in rows])


@router.post("/questions/{question_id}/answer")
async def create_question_answer(
    question_id: str, body: Answer, caller: CurrentCaller, session: DbSession
) -> Question:
    """Answer; the run goes on. One that was answered or has expired answers 409 with its state."""
    return await answer_question(session, caller.user, question_id, body)
