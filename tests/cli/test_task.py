"""``hypercode task``: the verbs, by task or by run, on the database of this instance."""

import pytest
from typer.testing import CliRunner

from hypercode.cli.__main__ import app
from hypercode.domain.errors import NotFound


def test_the_verbs_are_listed_and_explained():
    shown = CliRunner().invoke(app, ["task", "--help"])
    assert "cancel" in shown.output
    assert "Stop a run" in shown.output


def test_a_task_that_is_not_there_is_named(own_database_url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", own_database_url)
    answer = CliRunner().invoke(app, ["task", "cancel", "tsk_none"])
    assert isinstance(answer.exception, NotFound)
    assert "tsk_none" in answer.exception.message
