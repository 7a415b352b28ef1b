"""``hypercode task show``."""

import json

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.show import plain
from hypercode.cli.task.list import state_of
from hypercode.cli.task.target import AsJson, Target, with_run
from hypercode.cli.task.telling import line_of
from hypercode.domain.run import Run
from hypercode.domain.steering import RunCommand
from hypercode.domain.task import Task
from hypercode.store import runs, steering, tasks
from hypercode.store.tables import RunRow
from hypercode.store.users import names_of

Shown = tuple[Task, list[tuple[Run, list[RunCommand]]]]


def show(target: Target, as_json: AsJson = False) -> None:
    """Show a task: its runs, what each was told, and what became of that."""
    task, found = with_run(target, _read)
    if as_json:
        items = [
            {**run.model_dump(mode="json"), "commands": [c.model_dump(mode="json") for c in commands]}
            for run, commands in found
        ]
        typer.echo(json.dumps({"task": task.model_dump(mode="json"), "runs": items}))
        return
    typer.echo(f"{task.id}  {task.model}\n{plain(task.prompt)}")
    for run, commands in found:
        indent = "  " if run.parent_run_id is None else "    "
        typer.echo(f"{indent}{run.id}  {run.role.value}  {state_of(run)}")
        for command in commands:
            typer.echo(f"{indent}  {line_of(command)}")


async def _read(session: AsyncSession, run: RunRow) -> Shown:
    task = await runs.get_task_of(session, run)
    found: list[tuple[Run, list[RunCommand]]] = []
    for each in await runs.runs_of_task(session, task.id):
        rows = await steering.commands_of(session, each.id)
        names = await names_of(session, (id_ for row in rows for id_ in (row.requested_by, row.settled_by)))
        found.append((runs.to_domain(each), [steering.to_domain(row, names) for row in rows]))
    return tasks.to_domain(task), found
