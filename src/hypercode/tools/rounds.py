"""A call that waits for a person, answered in rounds: the client brings back what its person said, or looks again.

Only for clients that can (revision 2026-07-28, forms); the others get ``PENDING_*`` as the call's result. No round is
remembered here: what is asked is a row, and the client holds a sealed state. A round that finds nothing decided is no
call of its own, and leaves nothing in the books. Who may decide: ADR 0028.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mcp import types
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.approval import ApprovalState, Decision
from hypercode.domain.errors import (
    Conflict,
    HyperCodeError,
    NotFound,
    PermissionDenied,
    PolicyDenied,
    TimedOut,
)
from hypercode.domain.grant import Grant
from hypercode.domain.ids import new_id
from hypercode.domain.question import Answer, QuestionState
from hypercode.domain.user import User
from hypercode.events.approvals import check_right, decide_approval
from hypercode.events.questions import answer_by_client, answer_question
from hypercode.mcp_protocol.codes import PendingAnswer, PendingApproval
from hypercode.settings import ApprovalSettings
from hypercode.store.api_tokens import find_token_user
from hypercode.store.approvals import get_approval
from hypercode.store.database import Database
from hypercode.store.questions import get_question
from hypercode.store.runs import get_run
from hypercode.store.tables import ApprovalRow, QuestionRow
from hypercode.store.users import to_domain
from hypercode.tools.dispatcher import CallRequest, Dispatcher
from hypercode.tools.forms import answer_of, approval_form, decision_of, question_form, waiting_form
from hypercode.tools.request_state import APPROVAL, QUESTION, Waiting
from hypercode.tools.result import CallResult, failure

MOST = 8
"""How often one request goes on with a call that has to wait for something else each time."""

Answered = types.CallToolResult | types.InputRequiredResult


@dataclass(frozen=True)
class Round:
    """What a request says of itself beside its call: whether its client has forms, whom it speaks for, what it brings."""

    has_forms: bool
    person_token: str | None = None
    state: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class _Look:
    """What stands in the row: a form while it is open, or why the call will not run."""

    form: types.ElicitRequest | None = None
    refusal: HyperCodeError | None = None


class Rounds:
    """``tools/call`` for clients of both kinds."""

    def __init__(self, dispatcher: Dispatcher, database: Database, settings: ApprovalSettings) -> None:
        self.dispatcher = dispatcher
        self._database = database
        self._settings = settings

    @property
    def life_s(self) -> float:
        """How long a state may be brought back."""
        return self._settings.expires_s

    async def call(self, grant: Grant, request: CallRequest, said: Round) -> Answered:
        """Carry out a call, or have the client ask its person and call again."""
        if not said.has_forms:
            return (await self.dispatcher.call(grant, request)).to_mcp()
        if said.state is None:
            result = await self.dispatcher.call(grant, request)
            waiting = _waiting(request.key or new_id("tool_call"), result)
            if waiting is None:
                return result.to_mcp()
        else:
            waiting = Waiting.read(said.state)
        person = await self._person(grant, said.person_token)
        # An answer counts with the state of its question only.
        answer = None if said.state is None else said.answers.get(waiting.kind)
        if isinstance(answer, types.ElicitResult):
            if answer.action != "accept":
                return failure(_pending(waiting)).to_mcp()
            await self._take(grant, request, waiting, person, dict(answer.content or {}))
        return await self._goes_on(grant, request, waiting, person)

    async def _goes_on(
        self, grant: Grant, request: CallRequest, waiting: Waiting, person: User | None
    ) -> Answered:
        """Ask while nothing is decided; what is decided lets the call go on, which may have to wait for the next thing."""
        for _ in range(MOST):
            look = await self._look(grant, request, waiting, person)
            if look.form is not None:
                forms: types.InputRequests = {waiting.kind: look.form}
                return types.InputRequiredResult(input_requests=forms, request_state=waiting.text())
            decided = replace(request, key=waiting.key, refusal=look.refusal)
            result = await self.dispatcher.call(grant, decided)
            following = _waiting(waiting.call, result)
            if following is None:
                return result.to_mcp()
            waiting = following
        return failure(_pending(waiting)).to_mcp()

    async def _person(self, grant: Grant, token: str | None) -> User | None:
        """Whose API token came along, if they belong to the organisation of the run."""
        if not token:
            return None
        async with self._database.transaction() as session:
            found = await find_token_user(session, token)
            person = None if found is None else to_domain(found)
        return person if person and person.organisation_id == grant.organisation_id else None

    async def _take(
        self,
        grant: Grant,
        request: CallRequest,
        waiting: Waiting,
        person: User | None,
        content: dict[str, Any],
    ) -> None:
        """Write down what a form brought back. A decision counts from a person only, and what came too late not at all."""
        with contextlib.suppress(Conflict, NotFound, PermissionDenied):
            async with self._database.transaction() as session:
                if waiting.kind == QUESTION:
                    await _answer(session, grant, waiting, person, answer_of(content))
                elif person is not None and (decision := decision_of(content)) is not None:
                    await self._own(session, grant, request, waiting)
                    await decide_approval(session, person, waiting.id, decision, self._settings)

    async def _look(self, grant: Grant, request: CallRequest, waiting: Waiting, person: User | None) -> _Look:
        try:
            async with self._database.transaction() as session:
                if waiting.kind == QUESTION:
                    return _question(await _own_question(session, grant, waiting))
                row = await self._own(session, grant, request, waiting)
                if row.state == ApprovalState.PENDING.value and row.expires_at > datetime.now(UTC):
                    return _Look(await self._approval(session, row, person))
        except NotFound:
            # No such thing is asked any more: the call is judged anew.
            return _Look()
        over = row.state in (ApprovalState.PENDING.value, ApprovalState.EXPIRED.value)
        return _Look(refusal=_NOBODY_APPROVED if over else None)

    async def _approval(
        self, session: AsyncSession, row: ApprovalRow, person: User | None
    ) -> types.ElicitRequest:
        """The choice for a person who may make it; for everyone else, word that somebody is asked."""
        if person is None:
            return waiting_form(row, "")
        try:
            run = await get_run(session, row.run_id)
            await check_right(session, person, run, Decision(decision="approve"), self._settings)
        except PermissionDenied as error:
            return waiting_form(row, error.message)
        return approval_form(row)

    async def _own(
        self, session: AsyncSession, grant: Grant, request: CallRequest, waiting: Waiting
    ) -> ApprovalRow:
        """The approval that this run asks for this very call; under another policy it is another call."""
        row = await get_approval(session, grant.organisation_id, waiting.id)
        if row.run_id != grant.run_id or row.binding != self.dispatcher.asks_for(grant, request):
            raise NotFound("this call is not asked for")
        return row


async def _own_question(session: AsyncSession, grant: Grant, waiting: Waiting) -> QuestionRow:
    row = await get_question(session, grant.organisation_id, waiting.id)
    if row.run_id != grant.run_id:
        raise NotFound("this run has not asked that")
    return row


async def _answer(
    session: AsyncSession, grant: Grant, waiting: Waiting, person: User | None, answer: Answer | None
) -> None:
    if answer is None:
        return
    await _own_question(session, grant, waiting)
    if person is not None:
        await answer_question(session, person, waiting.id, answer)
    else:
        await answer_by_client(session, grant.organisation_id, waiting.id, answer)


def _question(row: QuestionRow) -> _Look:
    if row.state == QuestionState.OPEN.value and row.expires_at > datetime.now(UTC):
        return _Look(question_form(row))
    over = row.state in (QuestionState.OPEN.value, QuestionState.EXPIRED.value)
    return _Look(refusal=_NOBODY_ANSWERED if over else None)


def _waiting(call: str, result: CallResult) -> Waiting | None:
    """What a result waits for, if it does."""
    if result.code == PendingApproval.code:
        return Waiting(call, APPROVAL, str(result.data["approval_id"]))
    if result.code == PendingAnswer.code:
        return Waiting(call, QUESTION, str(result.data["question_id"]))
    return None


def _pending(waiting: Waiting) -> HyperCodeError:
    """What a client is told that waits no longer; the books have it from the first round."""
    if waiting.kind == QUESTION:
        return PendingAnswer(
            "a person has to answer this question first",
            hint="They are asked. Once they have answered, the same call returns what they said.",
            question_id=waiting.id,
        )
    return PendingApproval(
        "a person has to approve this call first",
        hint="They are asked. Once they have approved it, the same call passes.",
        approval_id=waiting.id,
    )


_NOBODY_APPROVED = PolicyDenied(
    "nobody approved this call in time: the question has expired",
    hint="Do without it, and say so in your summary.",
)
_NOBODY_ANSWERED = TimedOut(
    "nobody answered in time", hint="Choose the plainest reading of the task and name it."
)
