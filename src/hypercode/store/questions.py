"""Questions in the database. Whoever changes one that a run waits for has locked the run's row first."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import NotFound
from hypercode.domain.grant import Grant
from hypercode.domain.ids import new_id
from hypercode.domain.question import Question, QuestionState
from hypercode.store.tables import QuestionRow


async def ask_question(
    session: AsyncSession, grant: Grant, question: str, options: Sequence[str], expires_at: datetime
) -> tuple[QuestionRow, bool]:
    """Return the question, and whether it is new: one that is open or answered is not asked again in the same run."""
    known = await session.scalar(
        select(QuestionRow)
        .where(
            QuestionRow.run_id == grant.run_id,
            QuestionRow.question == question,
            QuestionRow.options == list(options),
            QuestionRow.state.in_([QuestionState.OPEN.value, QuestionState.ANSWERED.value]),
        )
        .order_by(QuestionRow.requested_at.desc())
        .limit(1)
    )
    if known is not None:
        return known, False
    row = QuestionRow(
        id=new_id("question"),
        organisation_id=grant.organisation_id,
        project_id=grant.project_id,
        task_id=grant.task_id,
        run_id=grant.run_id,
        question=question,
        options=list(options),
        state=QuestionState.OPEN.value,
        requested_at=datetime.now(UTC),
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()
    return row, True


async def get_question(session: AsyncSession, organisation_id: str, question_id: str) -> QuestionRow:
    """Return a question of this organisation, fresh; another's does not exist for the caller."""
    row = await session.get(QuestionRow, question_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound(f"There is no question {question_id}.")
    return row


async def list_questions(
    session: AsyncSession,
    organisation_id: str,
    *,
    state: QuestionState | None,
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> list[QuestionRow]:
    """Newest first."""
    query = select(QuestionRow).where(QuestionRow.organisation_id == organisation_id)
    if state is not None:
        query = query.where(QuestionRow.state == state.value)
    if before is not None:
        query = query.where(tuple_(QuestionRow.requested_at, QuestionRow.id) < before)
    rows = await session.scalars(
        query.order_by(QuestionRow.requested_at.desc(), QuestionRow.id.desc()).limit(limit)
    )
    return list(rows)


async def questions_of(session: AsyncSession, run_id: str) -> list[QuestionRow]:
    rows = await session.scalars(
        select(QuestionRow)
        .where(QuestionRow.run_id == run_id)
        .order_by(QuestionRow.requested_at, QuestionRow.id)
    )
    return list(rows)


async def due_questions(session: AsyncSession, limit: int = 100) -> list[QuestionRow]:
    """Open ones whose time is over."""
    rows = await session.scalars(
        select(QuestionRow)
        .where(QuestionRow.state == QuestionState.OPEN.value, QuestionRow.expires_at <= func.now())
        .order_by(QuestionRow.expires_at)
        .limit(limit)
    )
    return list(rows)


async def withdraw_questions(session: AsyncSession, run_id: str) -> None:
    """A run that has ended asks nothing any more."""
    await session.execute(
        update(QuestionRow)
        .where(QuestionRow.run_id == run_id, QuestionRow.state == QuestionState.OPEN.value)
        .values(state=QuestionState.WITHDRAWN.value)
    )


async def open_questions(session: AsyncSession) -> tuple[int, datetime | None]:
    """How many are open in all, and since when the oldest."""
    row = await session.execute(
        select(func.count(), func.min(QuestionRow.requested_at)).where(
            QuestionRow.state == QuestionState.OPEN.value
        )
    )
    number, oldest = row.one()
    return number, oldest


def to_domain(row: QuestionRow, names: Mapping[str, str] | None = None) -> Question:
    """The question as people see it; ``names`` are those of the people who answered, by id."""
    return Question(
        id=row.id,
        project_id=row.project_id,
        task_id=row.task_id,
        run_id=row.run_id,
        question=row.question,
        options=[str(option) for option in row.options],
        state=QuestionState(row.state),
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        answer=row.answer,
        answered_by=(names or {}).get(row.answered_by or "", row.answered_by),
        answered_at=row.answered_at,
    )
