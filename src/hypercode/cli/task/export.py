"""``hypercode task export``."""

import json
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.task.target import AsJson, Target, with_run
from hypercode.domain.errors import InvalidArgument
from hypercode.runs.recording import Recording, recording_of, written
from hypercode.store.tables import RunRow


def export(
    target: Target,
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    as_json: AsJson = False,
) -> None:
    """Write a run's recording to a file: what its model and tools answered, and its events.

    `hypercode task replay FILE` runs it again anywhere, without a model, a network or a container. The file holds what the
    run's page shows and the full texts of tool results: as much of the repository as the agent has read.
    """

    async def work(session: AsyncSession, run: RunRow) -> Recording:
        return await recording_of(session, run)

    recording = with_run(target, work)
    data = written(recording)
    try:
        with out.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise InvalidArgument(
            f"{out} can't be written: {error.strerror}", hint="Name another file."
        ) from error
    said = {"run_id": recording.run.run_id, "file": str(out), "steps": len(recording.steps)}
    said |= {"events": len(recording.events), "bytes": len(data)}
    if as_json:
        typer.echo(json.dumps(said))
    else:
        typer.echo(
            f"{said['run_id']}: {said['steps']} steps and {said['events']} events in {out}, {len(data)} bytes."
        )
