"""The audit as a person reads it: one line a call, the decision and its outcome side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from hypercode.store.tables import AuditRow


@dataclass(frozen=True)
class AuditedPair:
    """A decision, and the outcome if there is one yet."""

    run_id: str
    call_id: str
    tool: str
    arguments_sha256: str
    decided_at: datetime
    decision: dict[str, Any]
    ended_at: datetime | None
    outcome: dict[str, Any] | None

    @property
    def duration_ms(self) -> float | None:
        """From the decision to the outcome."""
        return (self.ended_at - self.decided_at).total_seconds() * 1000 if self.ended_at else None


async def audited_calls(
    session: AsyncSession,
    *,
    run_id: str | None = None,
    tool: str | None = None,
    denied: bool = False,
    since: datetime | None = None,
    limit: int,
) -> Sequence[AuditedPair]:
    """The newest calls that fit, in the order in which they were decided. ``denied``: whatever was not allowed."""
    decision, outcome = aliased(AuditRow), aliased(AuditRow)
    same = and_(
        outcome.run_id == decision.run_id, outcome.call_id == decision.call_id, outcome.kind == "outcome"
    )
    statement = (
        select(decision, outcome)
        .outerjoin(outcome, same)
        .where(decision.kind == "decision")
        .order_by(decision.at.desc(), decision.run_id, decision.seq.desc())
        .limit(limit)
    )
    if run_id is not None:
        statement = statement.where(decision.run_id == run_id)
    if tool is not None:
        statement = statement.where(decision.tool == tool)
    if denied:
        statement = statement.where(decision.body["effect"].astext != "allow")
    if since is not None:
        statement = statement.where(decision.at >= since)
    found = await session.execute(statement)
    return [_pair(decided, ended) for decided, ended in reversed(found.all())]


def _pair(decided: AuditRow, ended: AuditRow | None) -> AuditedPair:
    return AuditedPair(
        run_id=decided.run_id,
        call_id=decided.call_id,
        tool=decided.tool,
        arguments_sha256=decided.arguments_sha256,
        decided_at=decided.at,
        decision=decided.body,
        ended_at=ended.at if ended else None,
        outcome=ended.body if ended else None,
    )
