"""``hypercode task``: the verbs, by task or by run, on the database of this instance."""

import asyncio
import json

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
