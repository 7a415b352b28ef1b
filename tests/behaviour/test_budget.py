"""A run whose budget is used up is paused and goes on when topped up; a model call that was killed is counted."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.behaviour.person import first_admin
from tests.behaviour.platform import Platform, running, wait_for
from tests.behaviour.test_approvals import Waiting, mark, of

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def waiting() -> Iterator[Waiting]:
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        platform = Platform(Path(directory) / "d", environment={})
        with running(platform, ["--root", "/tmp"]) as live, first_admin(live) as person:
            yield Waiting(live, person)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that needs no environment."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "README.md").write_text("# Nothing\n")
    return tmp_path / "work"


def paused(waiting: Waiting, run_id: str) -> dict[str, Any]:
    """Wait until the run is parked for its budget; return where that stands."""
    parked = "SELECT count(*) FROM runs WHERE id = %s AND wait_reason = 'budget' AND parked_at IS NOT NULL"
    wait_for(lambda: waiting.query(parked, run_id)[0][0] == 1, "the pause", 120)
    return waiting.get(f"/tasks/{task_of(waiting, run_id)}/budget")


def task_of(waiting: Waiting, run_id: str) -> str:
    return str(waiting.query("SELECT task_id FROM runs WHERE id = %s", run_id)[0][0])


@pytest.mark.promise(2, 12)
@pytest.mark.requirement("budget:pause")
def test_a_run_pauses_at_its_limit_and_goes_on_when_topped_up(waiting: Waiting, folder: Path) -> None:
    run_id = waiting.start(
        folder, [mark(0), mark(1), {**mark(2), "delay_s": 4}, {"say": "Done."}], {"max_turns": 2}
    )
    task = task_of(waiting, run_id)
    budget = paused(waiting, run_id)
    assert (budget["used"]["turns"], budget["reserved"]["turns"]) == (2, 0)
    assert [pause["run_id"] for pause in budget["paused"]] == [run_id]
    assert budget["used"]["cpu_s"] > 0
    waiting.kill("worker")  # nobody is there who could work on it when it is topped up
    waiting.person.post(f"/tasks/{task}/budget", {"max_turns": 4})

    # Killed in the model call, which was held and is lost: the fourth turn is paid for by it.
    held = "SELECT count(*) FROM budget_lines WHERE run_id = %s AND key = 'model:3'"
    wait_for(lambda: waiting.query(held, run_id)[0][0] == 1, "the model call", 120)
    waiting.kill("worker")
    budget = paused(waiting, run_id)
    assert (budget["used"]["turns"], budget["reserved"]["turns"]) == (4, 0)
    waiting.person.post(f"/tasks/{task}/budget", {"max_turns": 5})

    events = waiting.ended(run_id)
    diff = waiting.diff(events)
    assert [diff.count(f"+mark {number}\n") for number in range(3)] == [1] * 3
    assert [payload["turn"] for payload in of(events, "turn.completed")] == [1, 2, 3, 4]
    assert [payload["limit"] for payload in of(events, "budget.reached")] == ["turns"] * 2
    assert [payload["by"] for payload in of(events, "budget.raised")] == ["Ada"] * 2
    assert of(events, "run.finished")[0]["status"] == "succeeded"
    assert waiting.query("SELECT count(*) FROM budget_lines WHERE run_id = %s", run_id) == [(0,)]
    assert waiting.query("SELECT count(*) FROM budget_pauses WHERE run_id = %s", run_id) == [(0,)]


@pytest.mark.requirement("budget:pause")
def test_a_run_that_nobody_tops_up_ends_with_its_diff(waiting: Waiting, folder: Path) -> None:
    run_id = waiting.start(folder, [mark(0), mark(1), {"say": "Done."}], {"max_turns": 1})
    paused(waiting, run_id)
    waiting.query("UPDATE budget_pauses SET expires_at = now() WHERE run_id = %s", run_id)
    events = waiting.ended(run_id)
    assert of(events, "run.finished")[0]["error_code"] == "BUDGET_EXCEEDED"
    assert "+mark 0\n" in waiting.diff(events)
