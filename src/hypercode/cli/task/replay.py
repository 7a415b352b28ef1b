"""``hypercode task replay``."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.show import plain
from hypercode.cli.task.target import AsJson, with_run
from hypercode.domain.errors import InvalidArgument
from hypercode.runs import changes
from hypercode.runs.divergence import Divergence
from hypercode.runs.recording import Recording, read, recording_of
from hypercode.runs.replay import Report
from hypercode.runs.replay import replay as run_again
from hypercode.store.tables import RunRow
from hypercode.telemetry.logging import configure_logging

DIVERGED = 1
Change = Callable[[Recording, str, str], Recording]


def replay(
    target: Annotated[
        str, typer.Argument(metavar="TASK|FILE", help="A task, a run, or a file of `task export`.")
    ],
    model_answer: Annotated[
        list[str] | None,
        typer.Option(metavar="TURN=FILE", help="The model answers what is in the file in this turn."),
    ] = None,
    tool_result: Annotated[
        list[str] | None,
        typer.Option(metavar="TURN.N=FILE", help="This tool call comes to what is in the file."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Another task in place of the recorded one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a recorded run again from its recorded answers, and say whether it comes to the same events.

    No model, network or container is used, and nothing is written. Change one thing, or the code, and it names the step
    where the run goes another way. Exit codes: 0 the same; 1 it diverged; 2 the recording or a change can't be used.
    """
    configure_logging("ERROR")
    recorded = _recording(target)
    recording = recorded if prompt is None else changes.with_prompt(recorded, prompt)
    recording = _changed(recording, model_answer or [], changes.with_answer)
    recording = _changed(recording, tool_result or [], changes.with_result)
    report = asyncio.run(run_again(recording, None if recording is recorded else recorded))
    typer.echo(report.model_dump_json() if as_json else "\n".join(_words(report)))
    sys.exit(0 if report.same else DIVERGED)


def _recording(target: str) -> Recording:
    path = Path(target)
    if path.is_file():
        return read(path.read_bytes())

    async def work(session: AsyncSession, run: RunRow) -> Recording:
        return await recording_of(session, run)

    return with_run(target, work)


def _changed(recording: Recording, given: list[str], change: Change) -> Recording:
    for each in given:
        where, separator, name = each.partition("=")
        if not separator:
            raise InvalidArgument(f"{each!r} is not of the form PLACE=FILE.", hint="Such as 3=answer.txt.")
        try:
            recording = change(recording, where, Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgument(f"{name} can't be read: {error}", hint="Name a text file.") from error
    return recording


def _words(report: Report) -> list[str]:
    lines = [] if report.intact else ["The file was changed after it was exported."]
    if report.divergence is not None:
        return lines + _divergence_words(report.divergence)
    upto = "" if report.complete else ", as far as it is recorded"
    lines.append(f"{report.run_id}: the same{upto}. {len(report.steps)} steps, digest {report.digest}")
    return lines


def _divergence_words(divergence: Divergence) -> list[str]:
    where = f"step {divergence.step}" + (f", event {divergence.event}" if divergence.event else "")
    return [f"Diverged at {where}. {divergence.what}", *(plain(line) for line in divergence.diff)]
