"""A recorded run: what its steps came to and the events it wrote, as one file of JSON lines.

Nothing is recorded for it: the step journal and the event log hold it all. The grant's token, the project's source and its
environment's variables stay behind; values of secrets never came into either.
"""

import json
from hashlib import sha256
from importlib.metadata import version
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import InvalidArgument
from hypercode.runs.eras import counted_steps
from hypercode.store.archives import check_not_archived
from hypercode.store.queue import LOOP_VERSION
from hypercode.store.tables import RunEventRow, RunRow

SCHEMA = "hypercode.recording/1"
HINT = "`hypercode task export` writes such files."


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class RecordedRun(Frozen):
    """The head of a recording: whose it is, and what made it."""

    run_id: str
    role: str
    model: str
    status: str
    protected_paths: list[str] = Field(default_factory=list)
    hypercode: str
    loop_version: int


class RecordedEvent(Frozen):
    """An event with the step that wrote it; ``n`` is its place among the events of its key."""

    seq: int
    step_key: str
    n: int
    type: str
    payload: dict[str, Any]


class RecordedStep(Frozen):
    """What a step came to. Only steps that count are recorded: of a run that was rewound those on the line to its end,
    with the ``era`` that their events' keys begin with; of a forked run those of its origin too, whose events it has not.
    """

    result: dict[str, Any]
    era: int = 0
    inherited: bool = False


class Recording(Frozen):
    """A run so far. ``intact`` is False when the file was changed after it was written."""

    run: RecordedRun
    steps: dict[str, RecordedStep]
    events: list[RecordedEvent]
    intact: bool = True


async def recording_of(session: AsyncSession, run: RunRow) -> Recording:
    """Read a run's recording; of one that still works, up to its last finished step. Raises Conflict when it is archived."""
    await check_not_archived(session, run.id)
    steps = await counted_steps(session, run, run.segment + 1)
    # What it brought back is of the world, like a workspace: a replay has none.
    steps.pop("restore", None)
    rows = await session.scalars(
        select(RunEventRow).where(RunEventRow.run_id == run.id).order_by(RunEventRow.seq)
    )
    head = RecordedRun(
        run_id=run.id,
        role=run.role,
        model=run.model,
        status=run.status,
        protected_paths=[str(path) for path in run.protected_paths or ()],
        hypercode=version("hypercode-platform"),
        loop_version=LOOP_VERSION,
    )
    events = [
        RecordedEvent(seq=row.seq, step_key=row.step_key, n=row.n, type=row.type, payload=row.payload)
        for row in rows
    ]
    recorded = {
        name: RecordedStep(result=_public(name, step.result), era=step.era, inherited=step.inherited)
        for name, step in steps.items()
    }
    return Recording(run=head, steps=recorded, events=events)


def _public(name: str, result: dict[str, Any]) -> dict[str, Any]:
    """A step's result without what is the platform's alone: where the project is, and its variables."""
    if name != "begin" or "ok" not in result:
        return result
    return result | {"ok": result["ok"] | {"source": "", "environment": {}}}


def written(recording: Recording) -> bytes:
    """The file: a head, a line a step, a line an event, and a last line with the digest of all before it."""
    lines = [{"schema": SCHEMA, "run": recording.run.model_dump(mode="json")}]
    lines += [
        {"step": name} | step.model_dump(exclude_defaults=True) for name, step in recording.steps.items()
    ]
    lines += [{"event": event.model_dump(mode="json")} for event in recording.events]
    body = "".join(_line(line) for line in lines)
    end = {"steps": len(recording.steps), "events": len(recording.events), "sha256": _sha256(body)}
    return (body + _line(end)).encode()


def read(data: bytes) -> Recording:
    """Read such a file; raises InvalidArgument that names the line."""
    try:
        lines = data.decode().splitlines()
        values = [cast(object, json.loads(line)) for line in lines]
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidArgument(f"This is no recording: {error}", hint=HINT) from error
    parsed = [cast(dict[str, Any], value) for value in values if isinstance(value, dict)]
    if not parsed or len(parsed) != len(values) or parsed[0].get("schema") != SCHEMA:
        raise InvalidArgument(f"This is no recording of {SCHEMA}.", hint=HINT)
    try:
        return _assembled(parsed, lines)
    except (ValidationError, KeyError, TypeError) as error:
        raise InvalidArgument(f"The recording can't be read: {error}", hint=HINT) from error


def _assembled(parsed: list[dict[str, Any]], lines: list[str]) -> Recording:
    *body, end = parsed[1:]
    if "sha256" not in end:
        raise InvalidArgument("The recording was cut off: its last line is missing.", hint=HINT)
    return Recording(
        run=RecordedRun.model_validate(parsed[0]["run"]),
        steps={line["step"]: RecordedStep.model_validate(line) for line in body if "step" in line},
        events=[RecordedEvent.model_validate(line["event"]) for line in body if "event" in line],
        intact=end["sha256"] == _sha256("".join(f"{line}\n" for line in lines[:-1])),
    )


def _line(value: dict[str, Any]) -> str:
    # Escaped to ASCII: other line breaks of Unicode would end a line for some readers.
    return json.dumps(value, separators=(",", ":")) + "\n"


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()
