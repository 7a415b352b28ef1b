"""Deciding what a run asks approval for: by a person, or by the clock. One transaction, under the run's lock."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.approval import Approval, ApprovalScope, ApprovalState, Decision
from hypercode.domain.errors import Conflict, PermissionDenied
from hypercode.domain.event import ApprovalDecided
from hypercode.domain.role import PersonRole
from hypercode.domain.user import User
from hypercode.events import log
from hypercode.settings import ApprovalSettings
from hypercode.store.approvals import due_approvals, get_approval, to_domain
from hypercode.store.database import Database
from hypercode.store.queue import resume_run
from hypercode.store.runs import get_task_of, locked_run
from hypercode.store.tables import ApprovalRow, RunRow
from hypercode.telemetry.metrics import APPROVALS_DECIDED

MAY_MAKE_RULES = (PersonRole.ADMIN, PersonRole.MAINTAINER)


async def decide_approval(
    session: AsyncSession, user: User, approval_id: str, decision: Decision, settings: ApprovalSettings
) -> Approval:
    """Write a person's decision down and let the run go on; raises Conflict when there is one already."""
    found = await get_approval(session, user.organisation_id, approval_id)
    run = await locked_run(session, found.run_id)
    row = await get_approval(session, user.organisation_id, approval_id)
    now = datetime.now(UTC)
    _check_open(row, now)
    await check_right(session, user, run, decision, settings)
    row.decided_by, row.decided_at, row.note = user.id, now, decision.note
    if decision.decision == "approve":
        row.state, row.scope = ApprovalState.APPROVED.value, decision.scope.value
        row.expires_at = now + _life(decision.scope, settings)
    else:
        row.state = ApprovalState.DENIED.value
    await _tell(session, run, row, user.name)
    return to_domain(row, {user.id: user.name})


async def withdraw_approval(session: AsyncSession, user: User, approval_id: str) -> Approval:
    """Take back an approval that still lets calls pass; who may give one of its scope may also take it back."""
    found = await get_approval(session, user.organisation_id, approval_id)
    await locked_run(session, found.run_id)
    row = await get_approval(session, user.organisation_id, approval_id)
    if row.state != ApprovalState.APPROVED.value:
        raise Conflict(f"The approval is {row.state}, so there is nothing to take back.")
    if row.scope == ApprovalScope.RULE.value:
        _check_rule_maker(user)
    row.state = ApprovalState.WITHDRAWN.value
    return to_domain(row)


async def expire_approvals(database: Database) -> int:
    """Let the runs go on whose time to be approved is over; return how many approvals expired."""
    async with database.transaction() as session:
        due = [(row.id, row.run_id, row.organisation_id) for row in await due_approvals(session)]
    for approval_id, run_id, organisation_id in due:
        async with database.transaction() as session:
            run = await locked_run(session, run_id)
            row = await get_approval(session, organisation_id, approval_id)
            if row.state == ApprovalState.PENDING.value:
                row.state = ApprovalState.EXPIRED.value
                await _tell(session, run, row, None)
    return len(due)


def _check_open(row: ApprovalRow, now: datetime) -> None:
    state = ApprovalState(row.state)
    if state is ApprovalState.PENDING and row.expires_at <= now:
        state = ApprovalState.EXPIRED
    if state is not ApprovalState.PENDING:
        raise Conflict(
            f"The approval is {state} already.", hint="Look at it again; the run may have gone on."
        )


async def check_right(
    session: AsyncSession, user: User, run: RunRow, decision: Decision, settings: ApprovalSettings
) -> None:
    """Raise PermissionDenied for a decision that is not this person's to make."""
    if decision.decision == "deny":
        return
    if decision.scope is ApprovalScope.RULE:
        _check_rule_maker(user)
    if settings.by_another_person and (await get_task_of(session, run)).created_by == user.id:
        raise PermissionDenied(
            "Somebody else has to approve this: you asked for the task.",
            hint="This platform wants two people (HYPERCODE_APPROVALS__BY_ANOTHER_PERSON).",
        )


def _check_rule_maker(user: User) -> None:
    if user.role not in MAY_MAKE_RULES:
        raise PermissionDenied(
            "Only maintainers and admins may approve as a rule.", hint="Approve it once, or for this task."
        )


def _life(scope: ApprovalScope, settings: ApprovalSettings) -> timedelta:
    if scope is ApprovalScope.RULE:
        return timedelta(days=settings.rule_days)
    return timedelta(seconds=settings.expires_s)


async def _tell(session: AsyncSession, run: RunRow, row: ApprovalRow, by: str | None) -> None:
    approval = to_domain(row)
    decided = ApprovalDecided(
        approval_id=row.id,
        call_id=approval.call_id,
        state=approval.state,
        scope=approval.scope,
        by=by,
        note=row.note,
    )
    await log.append(session, run.id, f"approval:{row.id}:decided", [decided])
    await resume_run(session, run)
    APPROVALS_DECIDED.labels(row.state).inc()
