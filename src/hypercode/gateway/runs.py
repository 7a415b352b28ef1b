"""Runs: what became of a task, and stopping one."""

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.artifact import Artifact
from hypercode.domain.errors import NotFound
from hypercode.domain.run import Run
from hypercode.domain.steering import Cancel, CommandState, Verb
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.runs.steering import Steering
from hypercode.store import artifacts, runs
from hypercode.store.tables import RunRow

router = APIRouter(prefix="/runs", tags=["runs"])


class CancelAnswer(BaseModel):
    """``requested`` is false when the run had ended or was being stopped already."""

    requested: bool


class ArtifactList(BaseModel):
    items: list[Artifact]


@router.get("/{run_id}")
async def get_run(run_id: str, caller: CurrentCaller, session: DbSession) -> Run:
    return runs.to_domain(await visible_run(session, caller.user.organisation_id, run_id))


@router.post("/{run_id}/cancel", status_code=202)
async def cancel_run(run_id: str, caller: CurrentCaller, parts: AppParts, session: DbSession) -> CancelAnswer:
    """The command ``cancel`` in short; the event run.finished says when the run has stopped."""
    run = await visible_run(session, caller.user.organisation_id, run_id)
    steering = Steering(session, caller.user, parts.settings.keys_dir)
    given = await steering.give(run, Cancel(verb=Verb.CANCEL))
    return CancelAnswer(requested=given.state is not CommandState.REFUSED)


@router.get("/{run_id}/artifacts")
async def list_artifacts(run_id: str, caller: CurrentCaller, session: DbSession) -> ArtifactList:
    await visible_run(session, caller.user.organisation_id, run_id)
    rows = await artifacts.artifacts_of(session, run_id)
    return ArtifactList(items=[artifacts.to_domain(row) for row in rows])


async def visible_run(session: AsyncSession, organisation_id: str, run_id: str) -> RunRow:
    """Return a run of this organisation; another's does not exist for the caller."""
    row = await session.get(RunRow, run_id)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound(f"There is no run {run_id}.")
    return row
