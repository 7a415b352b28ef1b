"""The journal of tool calls by idempotency key: a key never runs twice."""

from datetime import UTC, datetime

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Unavailable
from hypercode.store.audit import AuditedCall, append_audit, open_decisions
from hypercode.store.tables import JournalRow, RunRow

RUNNING = "running"
DONE = "done"
UNKNOWN = "unknown"

WORKER = "worker"
"""The owner of entries that no tool process made: the audit knows nothing of them."""

TOOLS = "hypercode-tools"
"""The name of the tools process at Postgres."""

_END_WITHIN_MS = 10_000
_END_PREDECESSORS = text(
    "SELECT pid, pg_terminate_backend(pid, :within) AS ended FROM pg_stat_activity WHERE application_name = :name "
    "AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


async def claim_key(session: AsyncSession, call: AuditedCall, key: str, owner: str) -> JournalRow | None:
    """Take a key for this owner and return None, or return the row of the call that took it before."""
    taken = await session.execute(
        insert(JournalRow)
        .values(
            run_id=call.run_id,
            key=key,
            organisation_id=call.organisation_id,
            project_id=call.project_id,
            tool=call.tool,
            arguments_sha256=call.arguments_sha256,
            state=RUNNING,
            owner=owner,
        )
        .on_conflict_do_nothing()
        .returning(JournalRow.key)
    )
    if taken.scalar_one_or_none() is not None:
        return None
    return (
        await session.execute(
            select(JournalRow)
            .where(JournalRow.run_id == call.run_id, JournalRow.key == key)
            .with_for_update(),
            execution_options={"populate_existing": True},
        )
    ).scalar_one()


async def keep_done(session: AsyncSession, run: RunRow, key: str, what: str) -> None:
    """Write down that the worker itself has done something under this key; it is not done again."""
    await session.execute(
        insert(JournalRow)
        .values(
            run_id=run.id,
            key=key,
            organisation_id=run.organisation_id,
            project_id=run.project_id,
            tool=what,
            arguments_sha256="",
            state=DONE,
            owner=WORKER,
            result={},
        )
        .on_conflict_do_nothing()
    )


def reclaim_key(row: JournalRow, owner: str) -> None:
    """Run a call again whose outcome is unknown; only for tools that may be repeated."""
    row.state, row.owner, row.started_at, row.ended_at = RUNNING, owner, datetime.now(UTC), None


async def read_key(session: AsyncSession, run_id: str, key: str) -> JournalRow | None:
    """The journal's row of a key, fresh from the database."""
    return await session.get(JournalRow, (run_id, key), populate_existing=True)


async def end_predecessors(session: AsyncSession) -> int:
    """End what Postgres still does for a tools process that was killed; return how many connections that were.

    Postgres finishes a statement whose process is gone, such as one that waits for a lock. A call that is taken, or
    ends, after ``reconcile`` has looked would have its books wrong for good. Raises Unavailable when one does not end.
    """
    found = (await session.execute(_END_PREDECESSORS, {"name": TOOLS, "within": _END_WITHIN_MS})).all()
    if left := [row.pid for row in found if not row.ended]:
        raise Unavailable(
            f"Postgres still works for a tools process that was killed (pid {left[0]}).",
            hint="Start this process again; see what that connection waits for.",
        )
    return len(found)


async def reconcile(session: AsyncSession, owner: str) -> int:
    """Say of every call that a dead owner left open that its outcome is unknown; return how many.

    For one tools process at a time: every owner but the caller is taken for dead, see ``end_predecessors``.
    """
    await session.execute(
        update(JournalRow)
        .where(JournalRow.state == RUNNING, JournalRow.owner != owner)
        .values(state=UNKNOWN, ended_at=datetime.now(UTC))
    )
    decisions = await open_decisions(session, owner)
    for decision in decisions:
        call = AuditedCall(
            run_id=decision.run_id,
            organisation_id=decision.organisation_id,
            project_id=decision.project_id,
            call_id=decision.call_id,
            tool=decision.tool,
            arguments_sha256=decision.arguments_sha256,
        )
        await append_audit(session, call, "outcome", {"outcome": "unknown", "owner": owner})
    return len(decisions)
