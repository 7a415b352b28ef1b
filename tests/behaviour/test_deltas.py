"""What a model says is seen on the run's page while it says it, and a worker that dies in the middle leaves nothing of it."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.behaviour.browser import Window, chromium, window
from tests.behaviour.conftest import Account
from tests.behaviour.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.browser, pytest.mark.timeout(400)]
FIRST = "I looked at the stock list and at its test."
SAID = f"{FIRST} " + " ".join(f"Point {n} is about line {n}." for n in range(1, 40)) + " That was all."
SCRIPT = {"turns": [{"say": SAID, "delay_s": 12}, {"say": "Done."}]}
RUN_MS = 240_000


@pytest.fixture(scope="module")
def browser(admin: Account) -> Iterator[Browser]:
    _ = admin  # made in a browser of its own, which must be closed before this one
    with chromium() as browser:
        yield browser


@pytest.fixture
def live(browser: Browser, admin: Account) -> Iterator[Window]:
    with window(browser, admin.url, admin.pictures, admin.state) as live:
        yield live


@pytest.mark.requirement("web:words")
def test_words_grow_in_their_turn_and_begin_anew_with_the_next_worker(
    live: Window, web_platform: Platform, project: Callable[..., Path], tmp_path: Path
) -> None:
    script = tmp_path / "speech.yaml"
    script.write_text(json.dumps(SCRIPT))
    source = {"name": "words", "source_kind": "local_path", "source": str(project("inventory"))}
    project_id = live.api("/projects", source)["id"]
    task = {"project_id": project_id, "prompt": "Look.", "model": f"scripted:{script}", "routing": "coder"}
    accepted = live.api("/tasks", task)
    page = live.goto(f"/task?id={accepted['task_id']}")

    log = page.get_by_role("log")
    growing = log.get_by_text("answering")
    expect(growing).to_be_visible(timeout=RUN_MS)
    expect(log.get_by_text(FIRST)).to_be_visible()
    assert "turn.completed" not in {event["type"] for event in live.events(accepted["run_id"])}
    assert log.get_attribute("aria-live") == "off"
    live.picture("20-answering")

    (worker,) = web_platform.child_pids("worker")
    os.kill(worker, signal.SIGKILL)
    page.wait_for_function(
        "first => { const said = document.querySelector('[role=log]').innerText;"
        " return said.includes('answering') && !said.includes('Point') && first.startsWith(said.split('answering')[1].trim()) }",
        arg=FIRST,
        timeout=RUN_MS,
    )
    expect(log.get_by_text("Point 3 is about line 3.")).to_be_visible(timeout=RUN_MS)
    # The row fills up; it is not taken away and drawn anew.
    row = log.locator("h3").locator("xpath=../..")
    row.evaluate("element => { element.dataset.marked = 'yes' }")
    expect(growing).to_have_count(0, timeout=RUN_MS)
    assert row.first.get_attribute("data-marked") == "yes"
    expect(page.get_by_role("heading", name="Turn 1")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(log.get_by_text("That was all.")).to_be_visible()

    (turn,) = [e for e in live.events(accepted["run_id"]) if e["type"] == "turn.completed"]
    assert turn["payload"]["text"] == SAID
