"""``hypercode task cancel``."""

import json

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.task.target import AsJson, Target, with_run
from hypercode.store.runs import request_cancel
from hypercode.store.tables import RunRow


def cancel(target: Target, as_json: AsJson = False) -> None:
    """Stop a run and all its children; what it has changed so far is kept as its diff."""

    async def work(session: AsyncSession, run: RunRow) -> tuple[str, bool]:
        return run.id, await request_cancel(session, run.id)

    run_id, requested = with_run(target, work)
    if as_json:
        typer.echo(json.dumps({"run_id": run_id, "requested": requested}))
    elif requested:
        typer.echo(f"{run_id} is being stopped.")
    else:
        typer.echo(f"{run_id} had ended, or is being stopped already.")
