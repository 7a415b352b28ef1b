"""Recorded runs come to the same events again, without a world; what is changed shows where it changes the run.

The recordings were made with real containers: `make recordings` makes them anew.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOSPortableJSONSerializer
from sqlalchemy import text, update
from tests.fixtures.rows import make_run
from typer.testing import CliRunner

from hypercode.agents import loop
from hypercode.cli.__main__ import app
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.event import RunStatusChanged
from hypercode.domain.run import RunStatus
from hypercode.events.log import append
from hypercode.runs.changes import with_answer, with_prompt, with_result
from hypercode.runs.recording import RecordedStep, Recording, read, recording_of, written
from hypercode.runs.replay import replay
from hypercode.store.database import Database
from hypercode.store.queue import segment_id
from hypercode.store.runs import get_run
from hypercode.store.tables import ProjectRow, RunRow

pytestmark = pytest.mark.anyio
RECORDINGS = sorted((Path(__file__).parent / "recordings").glob("*.jsonl"))


def recorded(name: str) -> Recording:
    return read((Path(__file__).parent / "recordings" / f"{name}.jsonl").read_bytes())


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
async def test_a_recorded_run_comes_to_the_same_events(path: Path) -> None:
    report = await replay(read(path.read_bytes()))
    assert report.divergence is None, "\n".join(report.divergence.diff)
    assert (report.same, report.complete, report.intact) == (True, True, True)
    assert report.digest == report.expected_digest


async def test_a_part_of_a_run_replays_as_far_as_it_goes() -> None:
    whole = recorded("coder")
    steps = dict(list(whole.steps.items())[:9])
    report = await replay(whole.model_copy(update={"steps": steps, "events": whole.events[:20]}))
    assert (report.same, report.complete, len(report.steps)) == (True, False, 9)


async def test_another_prompt_diverges_at_the_first_question() -> None:
    run = recorded("coder")
    report = await replay(with_prompt(run, "Delete it all."), run)
    assert report.divergence is not None
    assert (report.divergence.step, report.divergence.event) == ("model:1", None)
    assert "+  Delete it all." in report.divergence.diff
    assert "-  Make the failing test pass." in report.divergence.diff
    assert report.digest == report.expected_digest  # no event before it is another


async def test_another_answer_diverges_at_its_turn() -> None:
    run = recorded("coder")
    report = await replay(with_answer(run, "3", "I give up."), run)
    assert report.divergence is not None
    assert (report.divergence.step, report.divergence.event) == ("model:3", "model:3")
    assert report.divergence.came["payload"]["text"] == "I give up."
    assert report.digest != report.expected_digest


async def test_another_result_diverges_at_its_call() -> None:
    run = recorded("repair")
    report = await replay(with_result(run, "2.0", "Nothing was found."), run)
    assert report.divergence is not None
    assert (report.divergence.step, report.divergence.event) == ("tools:2", "tool:2.0:completed")


async def test_a_result_that_no_event_shows_diverges_at_the_next_question() -> None:
    run = recorded("repair")
    outcome = run.steps["tools:2"].result["ok"]["outcomes"][0]
    changed = json.dumps({"text": outcome["text"], "data": {"nothing": True}})
    report = await replay(with_result(run, "2.0", changed), run)
    assert report.divergence is not None
    assert (report.divergence.step, report.divergence.event) == ("model:3", None)


async def test_another_loop_diverges_where_it_thinks_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "NUDGE_AT", 2)
    report = await replay(recorded("circles"))
    assert report.divergence is not None
    assert (report.divergence.step, report.divergence.event) == ("model:3", None)
    assert any("Doing it again will change nothing" in line for line in report.divergence.diff)


async def test_a_loop_that_takes_another_step_diverges_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "STUCK_AT", 4)
    report = await replay(recorded("circles"))
    assert report.divergence is not None
    assert report.divergence.what == "The next step recorded is model:5; diff came."


async def test_an_event_that_was_edited_is_found_and_said() -> None:
    lines = [json.loads(line) for line in written(recorded("limit")).decode().splitlines()]
    for line in lines:
        if line.get("event", {}).get("type") == "tool_call.completed":
            line["event"]["payload"]["ok"] = False
    report = await replay(read("".join(f"{json.dumps(line)}\n" for line in lines).encode()))
    assert not report.intact
    assert report.divergence is not None
    assert report.divergence.event == "tool:1.0:completed"


def test_what_is_written_is_read_again_and_what_is_none_is_refused() -> None:
    run = recorded("limit")
    data = written(run)
    assert read(data) == run
    for rubbish in (b"", b"\xff", b"[]\n", b"{}\n{}\n", b'{"schema":"hypercode.recording/9"}\n', data[: len(data) // 2],
                    b"\n".join(data.splitlines()[:-1])):  # fmt: skip
        with pytest.raises(InvalidArgument):
            read(rubbish)


@pytest.mark.parametrize("step", ["begin", "workspace", "survey", "model:1", "tools:1"])
@pytest.mark.parametrize("result", [{}, {"ok": {}}, {"ok": []}], ids=str)
async def test_a_step_that_is_rubbish_is_named(step: str, result: dict[str, Any]) -> None:
    run = recorded("limit")
    with pytest.raises(InvalidArgument, match=f"Step {step} "):
        await replay(run.model_copy(update={"steps": {**run.steps, step: RecordedStep(result=result)}}))


async def add_step(database: Database, run_id: str, place: int, name: str, result: dict[str, Any]) -> None:
    statement = text(
        "INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name, output, retention_timestamp) "
        "VALUES (:id, :place, :name, :output, 0)"
    )
    values = {
        "id": segment_id(run_id, 0), "place": place, "name": name,
        "output": DBOSPortableJSONSerializer().serialize(result),
    }  # fmt: skip
    async with database.transaction() as session:
        await session.execute(statement, values)


async def test_a_run_is_read_from_the_journal_without_its_keys(database: Database) -> None:
    run_id = await make_run(database)
    begun = recorded("coder").steps["begin"].result["ok"] | {
        "source": "https://me:hunter2@git.example/r", "environment": {"env": {"TOKEN": "hunter2"}}
    }  # fmt: skip
    await add_step(database, run_id, 1, "begin", {"ok": begun})
    async with database.transaction() as session:
        await session.execute(update(RunRow).where(RunRow.id == run_id).values(grant_token="hunter2"))
        run = await get_run(session, run_id)
        await session.execute(
            update(ProjectRow)
            .where(ProjectRow.id == run.project_id)
            .values(source="https://me:hunter2@git.example/r")
        )
        began = RunStatusChanged(status=RunStatus.RUNNING, wait_reason=None, detail="Preparing the workspace")
        await append(session, run.id, "begin", [began])
    async with database.transaction() as session:
        recording = await recording_of(session, await get_run(session, run_id))
    assert b"hunter2" not in written(recording)
    report = await replay(recording)
    assert (report.same, report.complete, [step.name for step in report.steps]) == (True, False, ["begin"])


def test_the_command_says_it_by_its_exit_code(tmp_path: Path) -> None:
    recording = str(RECORDINGS[0])
    same = CliRunner().invoke(app, ["task", "replay", recording, "--json"])
    assert (same.exit_code, json.loads(same.output)["same"]) == (0, True)
    (tmp_path / "answer").write_text("I give up.\x1b[31m")
    other = CliRunner().invoke(
        app, ["task", "replay", recording, "--model-answer", f"1={tmp_path / 'answer'}"]
    )
    assert other.exit_code == 1
    assert "Diverged at step model:1" in other.output
    assert "\x1b" not in other.output
    assert isinstance(
        CliRunner().invoke(app, ["task", "replay", recording, "--model-answer", "1"]).exception,
        InvalidArgument,
    )
