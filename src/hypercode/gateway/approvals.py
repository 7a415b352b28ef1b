"""Approvals: the calls that wait for a person, and their decisions."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from hypercode.domain.approval import Approval, ApprovalState, Decision
from hypercode.events.approvals import decide_approval, withdraw_approval
from hypercode.gateway.cursors import cursor_of, read_cursor
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.gateway.runs import visible_run
from hypercode.store import approvals
from hypercode.store.users import names_of

router = APIRouter(tags=["approvals"])


class ApprovalPage(BaseModel):
    """Newest first; ``next_cursor`` is null on the last page."""

    items: list[Approval]
    next_cursor: str | None


class ApprovalList(BaseModel):
    items: list[Approval]


@router.get("/approvals")
async def list_approvals(
    caller: CurrentCaller,
    session: DbSession,
    state: ApprovalState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> ApprovalPage:
    found = await approvals.list_approvals(
        session, caller.user.organisation_id, state=state, limit=limit + 1, before=read_cursor(cursor)
    )
    shown = found[:limit]
    names = await names_of(session, (row.decided_by for row in shown))
    return ApprovalPage(
        items=[approvals.to_domain(row, names) for row in shown],
        next_cursor=cursor_of(shown[-1].requested_at, shown[-1].id) if len(found) > limit else None,
    )


@router.get("/approvals/{approval_id}")
async def get_approval(approval_id: str, caller: CurrentCaller, session: DbSession) -> Approval:
    row = await approvals.get_approval(session, caller.user.organisation_id, approval_id)
    return approvals.to_domain(row, await names_of(session, [row.decided_by]))


@router.get("/runs/{run_id}/approvals")
async def list_run_approvals(run_id: str, caller: CurrentCaller, session: DbSession) -> ApprovalList:
    """What this run asked approval for, oldest first."""
    await visible_run(session, caller.user.organisation_id, run_id)
    rows = await approvals.approvals_of(session, run_id)
    names = await names_of(session, (row.decided_by for row in rows))
    return ApprovalList(items=[approvals.to_domain(row, names) for row in rows])


@router.post("/approvals/{approval_id}/decision")
async def create_approval_decision(
    approval_id: str, body: Decision, caller: CurrentCaller, parts: AppParts, session: DbSession
) -> Approval:
    """Approve or refuse; the run goes on. One that was decided, used or expired answers 409 with its state."""
    return await decide_approval(session, caller.user, approval_id, body, parts.settings.approvals)


@router.post("/approvals/{approval_id}/withdrawal")
async def create_approval_withdrawal(approval_id: str, caller: CurrentCaller, session: DbSession) -> Approval:
    """Take back an approval that still lets calls pass."""
    return await withdraw_approval(session, caller.user, approval_id)
