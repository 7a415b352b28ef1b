"""``hypercode task list``."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated

import typer

from hypercode.cli.database import instance_database
from hypercode.cli.show import plain
from hypercode.cli.task.target import AsJson
from hypercode.domain.run import Run, RunStatus
from hypercode.domain.task import Task
from hypercode.settings import Settings
from hypercode.store import runs, tasks
from hypercode.store.users import ensure_local_user

SHOWN_PROMPT = 60


def list(
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    status: Annotated[
        RunStatus | None, typer.Option(help="Only tasks whose newest run stands there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first, with the id and the state of their newest run."""
    found = asyncio.run(_newest(limit, status))
    if as_json:
        items = [{"task": t.model_dump(mode="json"), "run": r.model_dump(mode="json")} for t, r in found]
        typer.echo(json.dumps({"items": items}))
        return
    for task, run in found:
        words = " ".join(plain(task.prompt).split())
        typer.echo(f"{task.id}  {run.id}  {state_of(run)}  {words[:SHOWN_PROMPT]}")


async def _newest(limit: int, status: RunStatus | None) -> Sequence[tuple[Task, Run]]:
    async with (
        instance_database(Settings(), lambda text: typer.echo(text, err=True)) as database,
        database.transaction() as session,
    ):
        organisation_id = (await ensure_local_user(session)).organisation_id
        found = await tasks.newest_tasks(session, organisation_id, limit=limit, status=status)
        return [(tasks.to_domain(task), runs.to_domain(run)) for task, run in found]


def state_of(run: Run) -> str:
    """The status in one word or two: why it waits stands beside it."""
    return f"{run.status.value} ({run.wait_reason.value})" if run.wait_reason else run.status.value
