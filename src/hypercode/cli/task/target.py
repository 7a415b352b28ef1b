"""What TASK on the command line names, and the transaction that a verb does its work in."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.database import instance_database
from hypercode.domain.errors import NotFound
from hypercode.settings import Settings
from hypercode.store.tables import RunRow

Result = TypeVar("Result")
Target = Annotated[str, typer.Argument(metavar="TASK", help="The id of a task, or of one of its runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def with_run(target: str, work: Callable[[AsyncSession, RunRow], Awaitable[Result]]) -> Result:
    """Do the work in one transaction on the run that was named; raises NotFound."""

    async def do() -> Result:
        async with (
            instance_database(Settings(), lambda text: typer.echo(text, err=True)) as database,
            database.transaction() as session,
        ):
            return await work(session, await run_named(session, target))

    return asyncio.run(do())


async def run_named(session: AsyncSession, target: str) -> RunRow:
    """The run of this id, or the newest run without a parent of the task of this id."""
    run = await session.get(RunRow, target)
    if run is None:
        newest = select(RunRow).where(RunRow.task_id == target, RunRow.parent_run_id.is_(None))
        run = await session.scalar(newest.order_by(RunRow.created_at.desc()).limit(1))
    if run is None:
        raise NotFound(
            f"There is no task or run {target}.", hint="`hypercode run` and the web page name their ids."
        )
    return run
