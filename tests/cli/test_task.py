"""``hypercode task``: the verbs, by task or by run, on the database of this instance."""

import asyncio
import json
from typing import Any

import pytest
from tests.fixtures.rows import make_run
from typer.testing import CliRunner

from hypercode.cli.__main__ import app
from hypercode.domain.errors import Conflict, InvalidArgument, NotFound
from hypercode.store.database import Database


def test_the_verbs_are_listed_and_explained():
    shown = CliRunner().invoke(app, ["task", "--help"])
    assert "cancel" in shown.output
    assert "Stop a run" in shown.output


def test_a_task_that_is_not_there_is_named(own_database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", own_database_url)
    answer = CliRunner().invoke(app, ["task", "cancel", "tsk_none"])
    assert isinstance(answer.exception, NotFound)
    assert "tsk_none" in answer.exception.message


def test_a_task_is_topped_up(own_database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", own_database_url)

    async def make() -> str:
        database = Database(own_database_url)
        run_id = await make_run(database, budget={"max_turns": 10, "max_tokens": None})
        await database.dispose()
        return run_id

    run_id = asyncio.run(make())
    answer = CliRunner().invoke(app, ["task", "top-up", run_id, "--turns", "5", "--json"])
    told = json.loads(answer.stdout)
    assert (told["limits"]["max_turns"], told["used"]["turns"], told["paused"]) == (15, 0, [])
    shown = CliRunner().invoke(app, ["task", "top-up", run_id, "--time", "60"])
    assert "0 of 15 turns" in shown.output
    assert "0 of 3660 seconds" in shown.output
    for arguments, kind in (([], InvalidArgument), (["--tokens", "5"], Conflict)):
        assert isinstance(CliRunner().invoke(app, ["task", "top-up", run_id, *arguments]).exception, kind)


def test_a_run_is_told_things_and_shown_with_them(own_database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", own_database_url)

    async def begun() -> str:
        database = Database(own_database_url)
        run_id = await make_run(database)
        await database.dispose()
        return run_id

    run_id = asyncio.run(begun())

    def task(*arguments: str) -> tuple[int, dict[str, Any]]:
        answer = CliRunner().invoke(app, ["task", *arguments, "--json"])
        return answer.exit_code, json.loads(answer.stdout)

    code, paused = task("pause", run_id)
    assert (code, paused["state"], paused["requested_by"]) == (0, "applied", "local")
    code, steer = task("steer", run_id, "Mind the tabs.")
    assert (code, steer["state"], steer["text"]) == (0, "requested", "Mind the tabs.")
    assert task("withdraw", run_id, steer["id"])[1]["state"] == "withdrawn"
    assert task("resume", run_id)[1]["state"] == "applied"
    code, refused = task("rewind", run_id, "--to", "3")
    assert (code, refused["state"], refused["code"]) == (2, "refused", "POINT_UNREACHABLE")
    assert task("cancel", run_id)[1]["state"] == "applied"
    shown = task("show", run_id)[1]["runs"][0]
    assert [(c["verb"], c["state"]) for c in shown["commands"]] == [
        ("pause", "applied"), ("steer", "withdrawn"), ("resume", "applied"), ("rewind", "refused"), ("cancel", "applied"),
    ]  # fmt: skip
    assert shown["status"] == "cancelled"
    listed = task("list")[1]["items"]  # of the organisation that this machine's person belongs to
    assert {item["run"]["task_id"] == item["task"]["id"] for item in listed} == {True}
    empty = CliRunner().invoke(app, ["task", "steer", run_id, " "])
    assert isinstance(empty.exception, InvalidArgument)
