"""Steering: what people tell a run, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Body, Header
from pydantic import BaseModel

from hypercode.domain.steering import NewCommand, RunCommand
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.gateway.runs import visible_run
from hypercode.runs.steering import Steering
from hypercode.store import steering
from hypercode.store.users import names_of

router = APIRouter(prefix="/runs/{run_id}/commands", tags=["steering"])


class CommandList(BaseModel):
    """Oldest first."""

    items: list[RunCommand]


@router.post("", status_code=202)
async def create_run_command(
    run_id: str,
    body: Annotated[NewCommand, Body()],
    caller: CurrentCaller,
    parts: AppParts,
    session: DbSession,
    idempotency_key: Annotated[str | None, Header(min_length=8, max_length=200)] = None,
) -> RunCommand:
    """Tell the run something. ``state`` says whether it waits, was applied at once, or was refused, and why."""
    run = await visible_run(session, caller.user.organisation_id, run_id)
    given = Steering(session, caller.user, parts.settings.keys_dir)
    return await given.give(run, body, key=idempotency_key)


@router.get("")
async def list_run_commands(run_id: str, caller: CurrentCaller, session: DbSession) -> CommandList:
    """All that this run was told, and what became of it."""
    await visible_run(session, caller.user.organisation_id, run_id)
    rows = await steering.commands_of(session, run_id)
    names = await names_of(session, (id_ for row in rows for id_ in (row.requested_by, row.settled_by)))
    return CommandList(items=[steering.to_domain(row, names) for row in rows])


@router.post("/{command_id}/withdraw")
async def withdraw_run_command(
    run_id: str, command_id: str, caller: CurrentCaller, parts: AppParts, session: DbSession
) -> RunCommand:
    """Take back a command that waits; one that was settled answers 409."""
    run = await visible_run(session, caller.user.organisation_id, run_id)
    given = Steering(session, caller.user, parts.settings.keys_dir)
    return await given.withdraw(run, command_id)
