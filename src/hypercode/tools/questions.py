"""ask_user: a question to a person. The call waits for the answer as one that needs an approval does."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from hypercode.domain.errors import NotFound
from hypercode.domain.event import QuestionAsked
from hypercode.domain.question import BY_CLIENT, QuestionState
from hypercode.events import log
from hypercode.mcp_protocol.caps import storable
from hypercode.mcp_protocol.codes import PendingAnswer
from hypercode.mcp_protocol.schemas import Arguments, Closed
from hypercode.store.database import Database
from hypercode.store.questions import ask_question
from hypercode.store.tables import QuestionRow, RunRow
from hypercode.tools.registry import Tool, ToolContext, ToolReply

Option = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class AskUserArguments(Arguments):
    """One question; ``options`` are answers to choose from, and a person may always write their own."""

    question: str = Field(min_length=1, max_length=4000)
    options: list[Option] = Field(default_factory=list, max_length=10)


class Answered(Closed):
    """What the person answered, in their own words or those of an option."""

    question_id: str
    answer: str


class Questions:
    """The group's tools need the database, and how long a question stays open."""

    def __init__(self, database: Database, life: timedelta) -> None:
        self._database = database
        self._life = life

    def tools(self) -> Sequence[Tool[Any]]:
        """The group's tools."""
        return (
            Tool(
                "ask_user",
                "Ask a person a question that only they can answer, and wait for the answer. It may take hours: first "
                "find out what the repository can tell you.",
                AskUserArguments,
                Answered,
                self.ask_user,
                read_only=False,
                repeatable=True,
                errors=("PENDING_ANSWER",),
            ),
        )

    async def ask_user(self, context: ToolContext, args: AskUserArguments) -> ToolReply:
        """Return the answer; raises PendingAnswer until there is one."""
        grant = context.grant
        expires_at = min(datetime.now(UTC) + self._life, grant.expires_at)
        question, options = str(storable(args.question)), [str(storable(option)) for option in args.options]
        async with self._database.transaction() as session:
            run = await session.get(RunRow, grant.run_id, with_for_update={"key_share": True})
            if run is None:
                raise NotFound("the run is gone")
            row, new = await ask_question(session, grant, question, options, expires_at)
            if new:
                await log.append(session, run.id, f"question:{row.id}:asked", [_asked(row)])
        if row.state == QuestionState.ANSWERED.value and row.answer is not None:
            who = "The client that asked" if row.answered_by == BY_CLIENT else "The person"
            return ToolReply(
                Answered(question_id=row.id, answer=row.answer), f"{who} answered:\n{row.answer}"
            )
        raise PendingAnswer(
            "a person has to answer this question first",
            hint="They are asked now. Once they have answered, the same call returns what they said.",
            question_id=row.id,
        )


def _asked(row: QuestionRow) -> QuestionAsked:
    return QuestionAsked(
        question_id=row.id, question=row.question, options=[str(option) for option in row.options],
        expires_at=row.expires_at,
    )  # fmt: skip
