"""The person of the storm: approves, answers, and hands runs that were made to callers. They reach the database themselves."""

import contextlib
from collections.abc import AsyncIterator

from sqlalchemy import select
from storm import Caller, calling

from hypercode.domain.approval import Decision
from hypercode.domain.question import Answer
from hypercode.events.approvals import decide_approval
from hypercode.events.questions import answer_question
from hypercode.settings import ApprovalSettings
from hypercode.store.database import Database
from hypercode.store.tables import RunRow, UserRow
from hypercode.store.users import to_domain


class Person:
    """Decides in the organisation of each run as its own user, by the functions that the API calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def approve(self, run: RunRow, approval_id: str) -> None:
        """Approve a call once."""
        async with self._database.transaction() as session:
            user = await session.scalar(
                select(UserRow).where(UserRow.organisation_id == run.organisation_id).limit(1)
            )
            assert user is not None
            decision = Decision(decision="approve")
            await decide_approval(session, to_domain(user), approval_id, decision, ApprovalSettings())

    async def answer(self, run: RunRow, question_id: str, answer: str) -> None:
        """Answer a question."""
        async with self._database.transaction() as session:
            user = await session.scalar(
                select(UserRow).where(UserRow.organisation_id == run.organisation_id).limit(1)
            )
            assert user is not None
            await answer_question(session, to_domain(user), question_id, Answer(answer=answer))

    @contextlib.asynccontextmanager
    async def child(self, parent: Caller, run_id: str) -> AsyncIterator[Caller]:
        """A caller for a run that was delegated, with the grant that was narrowed for it."""
        async with self._database.transaction() as session:
            run = await session.get_one(RunRow, run_id)
        async with calling(parent.storm, run, run.grant_token, parent.key()) as caller:
            yield caller
