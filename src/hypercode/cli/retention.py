"""``hypercode retention``: old runs become archives, for whoever holds the machine."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer

from hypercode.cli.database import instance_database
from hypercode.domain.errors import Conflict
from hypercode.runs.retention import Due, Swept, alone, due_runs, sweep
from hypercode.settings import Settings
from hypercode.store.archives import count_archives, restore_run
from hypercode.store.database import Database, unhurried
from hypercode.store.object_cleaning import look_at_objects
from hypercode.store.objects import ObjectStore, open_objects

retention = typer.Typer(
    help="Old runs as archives: see what is due, archive it, bring one back. An archived run can still be looked at.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Days = Annotated[float | None, typer.Option("--after-days", min=0, help="In place of the setting.")]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Planned:
    """What a sweep would find."""

    due: list[Due]
    archives: int
    archive_bytes: int
    objects: int
    unnamed_objects: int


@retention.command()
def plan(after_days: Days = None, as_json: AsJson = False) -> None:
    """Say what `run` would do, and do nothing."""
    settings = _settings(after_days)

    async def work(database: Database, objects: ObjectStore) -> Planned:
        async with database.transaction() as session:
            due = await due_runs(session, settings.retention, datetime.now(UTC))
            archives = await count_archives(session)
        found = await look_at_objects(database, objects)
        return Planned(due, archives["number"], archives["bytes"], found.number, len(found.unnamed))

    planned = _with_store(settings, work)
    if as_json:
        typer.echo(json.dumps(asdict(planned), default=datetime.isoformat))
        return
    for each in planned.due:
        typer.echo(f"{each.run_id}  ended {each.ended_at:%Y-%m-%d %H:%M}, {each.bytes} bytes, by {each.why}")
    total = sum(each.bytes for each in planned.due)
    typer.echo(f"{len(planned.due)} runs of {total} bytes would become archives.")
    typer.echo(f"{planned.archives} archives of {planned.archive_bytes} bytes are there.")
    typer.echo(
        f"{planned.unnamed_objects} of {planned.objects} objects are named by no row and would be removed."
    )


@retention.command()
def run(after_days: Days = None, as_json: AsJson = False) -> None:
    """Archive what is due and remove objects that no row names. Workers do the same once a day."""
    settings = _settings(after_days)

    async def work(database: Database, objects: ObjectStore) -> Swept:
        async with alone(database) as free:
            if not free:
                raise Conflict("A sweep is at work already.", hint="Wait until it is done.")
            return await sweep(database, objects, settings.retention)

    swept = _with_store(settings, work)
    if as_json:
        typer.echo(json.dumps(asdict(swept)))
        return
    typer.echo(f"{len(swept.archived)} runs archived, {swept.archive_bytes} bytes.")
    typer.echo(f"{swept.objects_removed} objects that no row named are removed.")


@retention.command()
def restore(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of a run.")], as_json: AsJson = False
) -> None:
    """Bring an archived run's rows back, such as to replay it. Its snapshots are gone for good: it can't be forked."""

    async def work(database: Database, objects: ObjectStore) -> int:
        async with database.transaction() as session:
            await unhurried(session)
            return await restore_run(session, objects, run_id)

    rows = _with_store(Settings(), work)
    typer.echo(
        json.dumps({"run_id": run_id, "rows": rows}) if as_json else f"{run_id}: {rows} rows are back."
    )


def _settings(after_days: float | None) -> Settings:
    settings = Settings()
    if after_days is None:
        return settings
    changed = settings.retention.model_copy(update={"archive_after_days": after_days})
    return settings.model_copy(update={"retention": changed})


def _with_store(settings: Settings, work: Callable[[Database, ObjectStore], Awaitable[Result]]) -> Result:
    async def do() -> Result:
        async with instance_database(settings, lambda text: typer.echo(text, err=True)) as database:
            return await work(database, open_objects(settings))

    return asyncio.run(do())
