"""``hypercode task watch``."""

import asyncio
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.database import instance_database
from hypercode.cli.ending import show_ending
from hypercode.cli.exit_codes import INTERRUPTED, exit_code
from hypercode.cli.show import Show, shows
from hypercode.cli.task.target import Target, run_named
from hypercode.domain.event import RunFinished
from hypercode.domain.run import RunStatus
from hypercode.events.history import History
from hypercode.events.live import RETRY_S, LiveEvents
from hypercode.events.wake_ups import wake_ups
from hypercode.settings import Settings
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.channels import RUN_EVENTS
from hypercode.store.database import DATABASE_AWAY, Database
from hypercode.store.objects import open_objects
from hypercode.store.tables import RunHeadRow
from hypercode.telemetry.logging import configure_logging


def watch(
    target: Target,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one event a line, as `hypercode run` does.")
    ] = False,
    after: Annotated[int, typer.Option(help="Begin after the event of this seq.", min=0)] = 0,
) -> None:
    """Show a run from its first event, or from the one after --after, and follow it to its end.

    It goes on over restarts of the platform and its database. Ctrl-C stops the watching; the run goes on.
    Ends with the run's exit code, see `hypercode run --help`; 130 when the watching was stopped.
    """
    configure_logging("ERROR")
    show = shows(as_json=as_json)
    try:
        code = asyncio.run(_watch(Settings(), target, after, show))
    except KeyboardInterrupt:
        show.say("The run goes on")
        code = INTERRUPTED
    raise typer.Exit(code)


async def _watch(settings: Settings, target: str, after: int, show: Show) -> int:
    async with instance_database(settings, show.say) as database:
        async with database.transaction() as session:
            run_id, begin = await _place(session, target, after)
        return exit_code(await _follow(database, ArtifactStore(open_objects(settings)), run_id, begin, show))


async def _place(session: AsyncSession, target: str, after: int) -> tuple[str, int]:
    """The run, and where to begin: of a run that has ended at least the last event is shown."""
    run = await run_named(session, target)
    head = await session.get(RunHeadRow, run.id)
    last = head.seq if head else 0
    return run.id, min(after, last - 1 if RunStatus(run.status).ended else last)


async def _follow(
    database: Database, artifacts: ArtifactStore, run_id: str, after: int, show: Show
) -> RunFinished:
    history = History(artifacts.objects)
    async with LiveEvents(database, wake_ups(database, RUN_EVENTS), history=history) as live:
        async for event in live.subscribe(run_id, after):
            if event.type != RunFinished.type:
                show.event(event)
                continue
            while True:
                try:
                    return (await show_ending(database, artifacts, show, event))[0]
                except DATABASE_AWAY:
                    await asyncio.sleep(RETRY_S)
    raise AssertionError("a run's events end with its last one")
