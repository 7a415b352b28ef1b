"""A run at the top of a task: its row, its grant, its place in the queue and its first event, in one transaction."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.budget import Budget
from hypercode.domain.errors import Unavailable
from hypercode.domain.event import RunQueued
from hypercode.domain.grant import Grant
from hypercode.domain.ids import new_id
from hypercode.domain.role import AgentRole
from hypercode.events import log
from hypercode.policy import grants
from hypercode.store.queue import enqueue_run
from hypercode.store.runs import create_run
from hypercode.store.tables import RunRow, TaskRow
from hypercode.telemetry.tracing import here

# Above the task's own wall time: a run may stand in the queue or wait for a person.
GRANT_MARGIN = timedelta(days=2)


@dataclass(frozen=True)
class Origin:
    """The run that another one is made from: it goes on from its event ``at_seq``, or from scratch."""

    run: RunRow
    at_seq: int | None


def read_grant_key(keys_dir: Path) -> str:
    """Read the key that grants are minted with; only processes that accept tasks can."""
    try:
        return (keys_dir / "grant.key").read_text().strip()
    except OSError as error:
        raise Unavailable(
            "This process can't read the grant key, so it can't accept tasks.",
            hint=f"Check {keys_dir / 'grant.key'} ({error.strerror}).",
        ) from error


async def begin_attempt(
    session: AsyncSession,
    grant_key: str,
    task: TaskRow,
    role: AgentRole,
    routed_by: str,
    origin: Origin | None = None,
) -> RunRow:
    """Create and enqueue a run of the task in the caller's transaction."""
    run_id, workspace_id = new_id("run"), new_id("workspace")
    grant = Grant(
        organisation_id=task.organisation_id,
        project_id=task.project_id,
        task_id=task.id,
        run_id=run_id,
        workspace_id=workspace_id,
        role=role,
        expires_at=_grant_end(Budget.model_validate(task.budget)),
    )
    run = await create_run(
        session,
        id=run_id,
        organisation_id=task.organisation_id,
        project_id=task.project_id,
        task_id=task.id,
        parent_run_id=None,
        plan_item_id=None,
        goal=task.prompt,
        role=role,
        model=task.model,
        workspace_id=workspace_id,
        grant_token=grants.mint(grant_key, grant),
        trace_parent=here(),
    )
    if origin is not None:
        run.forked_from, run.forked_at_seq = origin.run.id, origin.at_seq
    queued = RunQueued(
        task_id=task.id,
        role=AgentRole(run.role),
        model=run.model,
        prompt=task.prompt,
        parent_run_id=None,
        routed_by=routed_by,
        forked_from=run.forked_from,
        forked_at_seq=run.forked_at_seq,
    )
    await session.flush()
    await log.append(session, run.id, "queued", [queued])
    await enqueue_run(session, run)
    return run


def _grant_end(budget: Budget) -> datetime:
    wall = timedelta(seconds=min(budget.max_wall_s or 0, 30 * 86_400))
    return datetime.now(UTC) + wall + GRANT_MARGIN
