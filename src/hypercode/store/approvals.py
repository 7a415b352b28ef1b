"""Approvals in the database. Whoever changes one that a run waits for has locked the run's row first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import and_, func, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.approval import Approval, ApprovalScope, ApprovalState, binding_of, facts_of
from hypercode.domain.errors import Conflict, NotFound
from hypercode.domain.ids import new_id
from hypercode.domain.preview import preview_of
from hypercode.domain.tool_call import Touched
from hypercode.store.audit import AuditedCall
from hypercode.store.tables import ApprovalRow

CALL = "tool:"
"""What a worker's keys of calls begin with, after the era; the events name a call without it."""


@dataclass(frozen=True)
class AskedCall:
    """A call that a rule wants a person to approve: all that the approval will be bound to."""

    call: AuditedCall
    task_id: str
    key: str | None
    arguments: dict[str, Any]
    touched: Touched
    rule: str
    reason: str
    policy_sha256: str
    expires_at: datetime
    redact: Callable[[Any], Any] = lambda value: value  # what is kept of the call for people to read

    @property
    def binding(self) -> str:
        return binding_of(self.call.tool, self.call.arguments_sha256, self.policy_sha256)

    @property
    def facts_sha256(self) -> str:
        return facts_of(self.touched, self.call.arguments_sha256)


async def take_approval(session: AsyncSession, asked: AskedCall) -> ApprovalRow | None:
    """Return the approval that lets this very call pass; one for once is used up by it."""
    return await _use_once(session, asked) or await _standing(session, asked)


async def _use_once(session: AsyncSession, asked: AskedCall) -> ApprovalRow | None:
    open_ = and_(ApprovalRow.state == ApprovalState.APPROVED.value, ApprovalRow.expires_at > func.now())
    # The same key again: the platform was killed during the call, and the tool may be repeated.
    repeated = and_(ApprovalRow.state == ApprovalState.USED.value, ApprovalRow.used_key == asked.key)
    found = (
        select(ApprovalRow.id)
        .where(
            ApprovalRow.run_id == asked.call.run_id,
            ApprovalRow.binding == asked.binding,
            ApprovalRow.scope == ApprovalScope.ONCE.value,
            or_(open_, repeated) if asked.key is not None else open_,
        )
        .order_by(ApprovalRow.decided_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    used = update(ApprovalRow).where(ApprovalRow.id.in_(found.scalar_subquery()))
    values = {"state": ApprovalState.USED.value, "used_at": func.now(), "used_key": asked.key}
    return await session.scalar(
        used.values(**values).returning(ApprovalRow), execution_options={"populate_existing": True}
    )


async def _standing(session: AsyncSession, asked: AskedCall) -> ApprovalRow | None:
    task = and_(ApprovalRow.scope == ApprovalScope.TASK.value, ApprovalRow.task_id == asked.task_id)
    return await session.scalar(
        select(ApprovalRow)
        .where(
            ApprovalRow.state == ApprovalState.APPROVED.value,
            ApprovalRow.expires_at > func.now(),
            ApprovalRow.project_id == asked.call.project_id,
            ApprovalRow.facts_sha256 == asked.facts_sha256,
            ApprovalRow.tool == asked.call.tool,
            ApprovalRow.rule == asked.rule,
            ApprovalRow.policy_sha256 == asked.policy_sha256,
            or_(task, ApprovalRow.scope == ApprovalScope.RULE.value),
        )
        .order_by(ApprovalRow.decided_at.desc())
        .limit(1)
    )


async def request_approval(session: AsyncSession, asked: AskedCall) -> tuple[ApprovalRow, bool]:
    """Return the approval that is asked for with this call, and whether it was asked for just now.

    The same call asks a person once: a pending one is returned again, and so is a refusal.
    """
    known = await _asked_before(session, asked)
    if known is not None:
        return known, False
    made = await session.scalar(
        insert(ApprovalRow)
        .values(_values(asked))
        .on_conflict_do_nothing(index_elements=["run_id", "binding"], index_where=text("state = 'pending'"))
        .returning(ApprovalRow)
    )
    if made is not None:
        return made, True
    known = await _asked_before(session, asked)
    if known is None:
        raise Conflict("this call was decided at this very moment", hint="Call it again.")
    return known, False


async def _asked_before(session: AsyncSession, asked: AskedCall) -> ApprovalRow | None:
    return await session.scalar(
        select(ApprovalRow)
        .where(
            ApprovalRow.run_id == asked.call.run_id,
            ApprovalRow.binding == asked.binding,
            ApprovalRow.state.in_([ApprovalState.PENDING.value, ApprovalState.DENIED.value]),
        )
        .order_by(ApprovalRow.requested_at.desc())
        .limit(1)
    )


def _values(asked: AskedCall) -> dict[str, Any]:
    call = asked.call
    return {
        "id": new_id("approval"),
        "organisation_id": call.organisation_id,
        "project_id": call.project_id,
        "task_id": asked.task_id,
        "run_id": call.run_id,
        "call_key": asked.key,
        "tool": call.tool,
        "arguments": asked.redact(asked.arguments),
        "arguments_sha256": call.arguments_sha256,
        "policy_sha256": asked.policy_sha256,
        "binding": asked.binding,
        "rule": asked.rule,
        "reason": asked.reason,
        "touched": asked.redact(_TOUCHED.dump_python(asked.touched, mode="json")),
        "facts_sha256": asked.facts_sha256,
        "state": ApprovalState.PENDING.value,
        "requested_at": datetime.now(UTC),
        "expires_at": asked.expires_at,
    }


async def get_approval(session: AsyncSession, organisation_id: str, approval_id: str) -> ApprovalRow:
    """Return an approval of this organisation, fresh; another's does not exist for the caller."""
    row = await session.get(ApprovalRow, approval_id, populate_existing=True)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound(f"There is no approval {approval_id}.")
    return row


async def list_approvals(
    session: AsyncSession,
    organisation_id: str,
    *,
    state: ApprovalState | None,
    limit: int,
    before: tuple[datetime, str] | None = None,
) -> list[ApprovalRow]:
    """Newest first."""
    query = select(ApprovalRow).where(ApprovalRow.organisation_id == organisation_id)
    if state is not None:
        query = query.where(ApprovalRow.state == state.value)
    if before is not None:
        query = query.where(tuple_(ApprovalRow.requested_at, ApprovalRow.id) < before)
    rows = await session.scalars(
        query.order_by(ApprovalRow.requested_at.desc(), ApprovalRow.id.desc()).limit(limit)
    )
    return list(rows)


async def approvals_of(session: AsyncSession, run_id: str) -> list[ApprovalRow]:
    rows = await session.scalars(
        select(ApprovalRow)
        .where(ApprovalRow.run_id == run_id)
        .order_by(ApprovalRow.requested_at, ApprovalRow.id)
    )
    return list(rows)


async def due_approvals(session: AsyncSession, limit: int = 100) -> list[ApprovalRow]:
    """Pending ones whose time is over."""
    rows = await session.scalars(
        select(ApprovalRow)
        .where(ApprovalRow.state == ApprovalState.PENDING.value, ApprovalRow.expires_at <= func.now())
        .order_by(ApprovalRow.expires_at)
        .limit(limit)
    )
    return list(rows)


async def withdraw_approvals(session: AsyncSession, run_id: str) -> None:
    """A run that has ended asks for nothing any more."""
    await session.execute(
        update(ApprovalRow)
        .where(ApprovalRow.run_id == run_id, ApprovalRow.state == ApprovalState.PENDING.value)
        .values(state=ApprovalState.WITHDRAWN.value)
    )


async def pending_approvals(session: AsyncSession) -> tuple[int, datetime | None]:
    """How many are pending in all, and since when the oldest."""
    row = await session.execute(
        select(func.count(), func.min(ApprovalRow.requested_at)).where(
            ApprovalRow.state == ApprovalState.PENDING.value
        )
    )
    number, oldest = row.one()
    return number, oldest


def to_domain(row: ApprovalRow, names: Mapping[str, str] | None = None) -> Approval:
    """The approval as people see it; ``names`` are those of the people who decided, by id."""
    return Approval(
        id=row.id,
        project_id=row.project_id,
        task_id=row.task_id,
        run_id=row.run_id,
        call_id=(row.call_key or "").replace(CALL, "", 1),
        tool=row.tool,
        preview=preview_of(row.tool, row.arguments),
        rule=row.rule,
        reason=row.reason,
        touched=_TOUCHED.validate_python(row.touched),
        state=ApprovalState(row.state),
        scope=ApprovalScope(row.scope) if row.scope else None,
        requested_at=row.requested_at,
        expires_at=row.expires_at,
        decided_by=(names or {}).get(row.decided_by or "", row.decided_by),
        decided_at=row.decided_at,
        note=row.note,
        used_at=row.used_at,
    )


_TOUCHED = TypeAdapter(Touched)
