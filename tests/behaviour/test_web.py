"""The web UI in a real browser, on a real platform, from the first-run link to the attestation."""

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.behaviour.browser import TWO_FRAMES, Window, chromium, window
from tests.behaviour.conftest import Account
from tests.behaviour.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.browser, pytest.mark.timeout(600)]
MakeProject = Callable[..., Path]
RUN_MS = 240_000
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def platform(web_platform: Platform) -> Platform:
    return web_platform


@pytest.fixture(scope="module")
def browser(admin: Account) -> Iterator[Browser]:
    _ = admin  # made in a browser of its own, which must be closed before this one
    with chromium() as browser:
        yield browser


@pytest.fixture
def live(browser: Browser, admin: Account) -> Iterator[Window]:
    with window(browser, admin.url, admin.pictures, admin.state) as live:
        yield live


def connect(live: Window, source: Path) -> None:
    page = live.goto("/projects")
    page.get_by_role("button", name="Connect a project").click()
    page.get_by_label("Folder or Git URL").fill(str(source))
    live.picture("03-connect")
    page.get_by_role("button", name="Connect", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="is connected")).to_be_visible()
    live.picture("04-projects")


def submit(live: Window, prompt: str) -> str:
    page = live.goto("/")
    page.get_by_label("Task", exact=True).fill(prompt)
    page.get_by_label("Model").select_option("builtin/repair")
    page.get_by_text("More options").click()
    live.picture("05-composer")
    page.get_by_role("button", name="Start the task").click()
    page.wait_for_url(re.compile(r"/task\?id=tsk_"))
    return page.url.removeprefix(live.url)


def open_tab(page: Page, name: str) -> Any:
    page.get_by_role("tab", name=name).click()
    return page.get_by_role("tabpanel")


@pytest.mark.requirement("web:whole-path")
def test_from_a_project_to_a_verified_result(
    live: Window, browser: Browser, admin: Account, project: MakeProject
) -> None:
    prompt = "Make the failing test pass."
    connect(live, project("inventory"))
    task = submit(live, prompt)
    page = live.page
    log = page.get_by_role("log")
    expect(log).to_contain_text("Queued for")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    live.picture("05-working")
    expect(log).to_contain_text("Turn 1", timeout=RUN_MS)
    result = page.get_by_role("status").filter(has_text="verified by the platform")
    expect(result).to_contain_text("Fixed", timeout=RUN_MS)
    expect(log).to_contain_text("Finished")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)

    live.picture("06-verified")
    run = live.api(f"/tasks/{task.split('=')[1]}")["runs"][0]
    verdict = next(e["payload"] for e in live.events(run["id"]) if e["type"] == "verification.finished")
    assert run["proof"] == "fixed"
    changed = open_tab(page, "Diff")
    expect(changed.get_by_role("row").filter(has_text="+").first).to_be_visible()
    added = [row for row in changed.get_by_role("row").all_inner_texts() if "+" in row.split("\t")[-1][:2]]
    assert added, "the diff shows no added line"
    live.picture("07-diff")
    tests = open_tab(page, "Tests")
    expect(tests).to_contain_text("Now passing (1)")
    expect(tests).to_contain_text(verdict["verdict"]["now_passing"][0])
    live.picture("08-tests")
    attestation = open_tab(page, "Attestation")
    expect(attestation).to_contain_text(verdict["words"].split("\n")[0])
    live.picture("09-attestation")
    files = open_tab(page, "Files")
    expect(files).to_contain_text("attestation")
    live.picture("10-files")

    page.get_by_role("link", name="Tasks").click()
    row = page.get_by_role("listitem").filter(has_text=prompt)
    expect(row.first).to_contain_text("Fixed")
    live.picture("11-tasks")
    live.goto("/")
    expect(page.get_by_text("Recent tasks")).to_be_visible()
    live.picture("12-home")

    with window(browser, live.url, admin.pictures) as other:
        sign_in_and_out(other, admin, task)


def sign_in_and_out(other: Window, admin: Account, task: str) -> None:
    """A deep link leads through the sign-in to the task; after signing out it leads there no more."""
    page = other.goto(task)
    page.wait_for_url(re.compile(r"/login\?next="))
    page.get_by_label("Email").fill(admin.email)
    page.get_by_label("Password").fill(admin.password)
    other.picture("13-sign-in")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(other.url + task)
    expect(page.get_by_role("status").filter(has_text="Fixed: verified")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("Finished")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{other.url}/login")
    other.goto(task)
    page.wait_for_url(re.compile(r"/login\?next="))


@pytest.mark.requirement("web:csp")
def test_every_page_under_a_strict_policy(live: Window) -> None:
    for number, path in enumerate(
        ("/", "/tasks", "/approvals", "/projects", "/settings", "/task", "/task?id=tsk_none", "/login")
    ):
        answer = live.page.goto(live.url + path)
        assert answer is not None
        policy = answer.header_value("content-security-policy") or ""
        scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
        assert "unsafe" not in scripts
        expect(live.page.locator("h1, h2, main p").first).to_be_visible()
        live.page.wait_for_load_state("networkidle")
        live.picture(f"2{number}-{path.strip('/').split('?')[0] or 'new'}")
    # A task that does not exist is a 404 of the API, which Chromium itself reports.
    live.complaints[:] = [one for one in live.complaints if "404" not in one]
    assert live.complaints == []
    live.page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.got = 1'}))"
    )
    assert live.page.evaluate("window.got") is None
    assert any("script-src" in one for one in live.complaints)
    live.complaints.clear()


def start(live: Window, source: Path, prompt: str, turns: list[dict[str, Any]]) -> dict[str, str]:
    """Start a scripted run over the API and open its page."""
    script = source.parent / f"{source.name}.yaml"
    script.write_text(json.dumps({"turns": turns}))
    place = {"source": str(source), "source_kind": "local_path", "name": source.parent.name}
    task = live.api(
        "/tasks",
        {
            "project_id": live.api("/projects", place)["id"],
            "prompt": prompt,
            "model": f"scripted:{script}",
            "routing": "coder",
        },
    )
    live.goto(f"/task?id={task['task_id']}")
    return task


def shell(say: str, script: str, delay_s: float = 0) -> dict[str, Any]:
    return {"say": say, "delay_s": delay_s, "calls": [{"tool": "sh_exec", "arguments": {"script": script}}]}


def rows_of(page: Page) -> list[str]:
    """The whole timeline: only rows in sight are drawn, so scroll through it."""
    found: dict[int, str] = {}
    log = page.get_by_role("log")
    height = log.evaluate("log => log.scrollHeight")
    for top in [*range(0, height, 150), height]:
        log.evaluate("(log, top) => { log.scrollTop = top; }", top)
        page.evaluate(TWO_FRAMES)
        drawn = log.locator("[data-index]").evaluate_all(
            "rows => rows.map((row) => [+row.dataset.index, row.innerText])"
        )
        found.update({index: text for index, text in drawn})
    assert sorted(found) == list(range(len(found)))
    return [found[index] for index in sorted(found)]


def story_of(events: list[dict[str, Any]]) -> list[str]:
    """Turns and calls, in the words that the timeline has for them."""
    said: list[str] = []
    for event in events:
        if event["type"] == "turn.completed":
            said.append(f"Turn {event['payload']['turn']}")
        if event["type"] == "tool_call.requested":
            said.append(json.loads(event["payload"]["arguments"])["script"])
    return said


@pytest.mark.requirement("web:worker-killed")
def test_the_worker_dies_while_a_person_watches(
    live: Window, platform: Platform, project: MakeProject, record_property: Callable[[str, object], None]
) -> None:
    delay = 1.0
    turns = [shell(f"Mark {n}.", f"echo mark {n} >> marks.txt", delay) for n in range(8)]
    task = start(live, project("inventory"), "Mark <b>eight</b> times.", turns)
    page, log = live.page, live.page.get_by_role("log")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mark <b>eight</b> times.")
    fourth = log.get_by_role("button").filter(has_text="echo mark 3")
    expect(fourth).to_contain_text("done", timeout=RUN_MS)
    (worker,) = platform.child_pids("worker")
    os.kill(worker, signal.SIGKILL)
    killed_at = time.time()
    page.wait_for_function("(since) => window.logChanges.some((at) => at > since + 0.1)", arg=killed_at)
    gap = page.evaluate("(since) => window.logChanges.find((at) => at > since + 0.1)", killed_at) - killed_at
    record_property("seconds_to_the_next_event", round(gap, 2))
    print(f"next event in the page {gap:.2f} s after the kill, {delay:.0f} s of it the model's own")
    live.picture("30-worker-killed")
    expect(page.get_by_role("status").filter(has_text="Not")).to_be_visible(timeout=RUN_MS)
    events = live.events(task["run_id"])
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    rows = rows_of(page)
    told = [row for row in rows if row.startswith("Turn ") or "Running a command" in row]
    story = story_of(events)
    assert len(told) == len(story)
    assert all(part in row for part, row in zip(story, told, strict=True))
    assert story == [part for n in range(8) for part in (f"Turn {n + 1}", f"echo mark {n} >> marks.txt")] + [
        "Turn 9"
    ]
    assert "Queued" in rows[0]
    assert "Finished" in rows[-1]
    # The turn in hand is asked for again, so the model's own time may come twice.
    assert gap <= delay + 3.0


@pytest.mark.requirement("web:stop")
def test_a_person_stops_a_long_command(live: Window, project: MakeProject) -> None:
    turns = [shell("Write.", "echo kept > kept.txt"), shell("Wait.", "sleep 600")]
    task = start(live, project("inventory"), "Write, then wait.\n\nThe second paragraph stays folded.", turns)
    page, log = live.page, live.page.get_by_role("log")
    expect(log.get_by_role("button").filter(has_text="sleep 600")).to_contain_text("running", timeout=RUN_MS)
    page.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Stop this run?")
    live.picture("40-stop", whole=False)
    dialog.get_by_role("button", name="Stop the run").click()
    stopped_at = time.monotonic()
    expect(page.get_by_role("status").filter(has_text="Stopped by a person")).to_be_visible()
    assert time.monotonic() - stopped_at < 15
    expect(open_tab(page, "Diff")).to_contain_text("kept.txt")
    live.picture("41-stopped")
    assert live.api(f"/runs/{task['run_id']}")["status"] == "cancelled"


@pytest.mark.requirement("web:approval")
def test_a_person_approves_what_a_run_waits_for(
    live: Window, platform: Platform, project: MakeProject
) -> None:
    path, content = ".github/workflows/ci.yml", "on: push\n# <b>not bold</b> \u202e\n" + "# line\n" * 60
    write = {"tool": "fs_write", "arguments": {"path": path, "content": content, "create_dirs": True}}
    question = {"question": "Which <i>colour</i>?", "options": ["red", "blue"]}
    turns: list[dict[str, Any]] = [
        {"say": "Write the workflow.", "calls": [write]},
        shell("Mark.", "echo after >> marks.txt"),
        {"say": "Ask.", "calls": [{"tool": "ask_user", "arguments": question}]},
        {"say": "Write another.", "calls": [{**write, "arguments": {**write["arguments"], "path": ".env"}}]},
        {"say": "Done."},
    ]
    task = start(live, project("inventory"), "Add a workflow.", turns)
    page, log = live.page, live.page.get_by_role("log")
    card = page.get_by_role("region", name="The agent asks to change a file")
    expect(card).to_contain_text("coder.asks_for_protected_paths", timeout=RUN_MS)
    expect(card).to_contain_text("# <b>not bold</b> \\u202e")
    expect(page.get_by_role("main")).to_contain_text("Waiting for your approval")
    live.picture("50-approval")
    page.get_by_role("link", name=re.compile("Approvals")).click()
    expect(page.get_by_role("link", name="Approvals (1 thing to decide)")).to_be_visible()
    expect(card).to_contain_text(path)
    live.picture("51-approvals")
    page.get_by_role("link", name="this run").click()

    (worker,) = platform.child_pids("worker")
    os.kill(worker, signal.SIGKILL)
    approve = card.get_by_role("button", name="Approve once")
    approve.focus()
    page.keyboard.press("Enter")
    expect(log).to_contain_text("Approved once by Ada Byron")
    expect(card).to_have_count(0)

    asks = page.get_by_role("region", name="The agent asks you")
    expect(asks).to_contain_text("Which <i>colour</i>?", timeout=RUN_MS)
    live.picture("52-question")
    asks.get_by_label("blue").check()
    asks.get_by_role("button", name="Answer").click()
    expect(log).to_contain_text("Answered by Ada Byron")

    expect(card).to_contain_text(".env", timeout=RUN_MS)
    card.get_by_role("button", name="Deny").click()
    card.get_by_label("A word to the agent").fill("No secrets in files.")
    live.picture("53-deny")
    card.get_by_role("button", name="Deny").click()
    expect(log).to_contain_text("Refused by Ada Byron")
    expect(log).to_contain_text("Finished", timeout=RUN_MS)

    changed = open_tab(page, "Diff")
    expect(changed).to_contain_text("1 protected file to look at")
    live.picture("54-protected")
    events = live.events(task["run_id"])
    done = [event["payload"] for event in events if event["type"] == "tool_call.completed"]
    assert [(call["tool"], call["code"]) for call in done] == [
        ("fs_write", "OK"), ("sh_exec", "OK"), ("ask_user", "OK"), ("fs_write", "POLICY_DENIED"),
    ]  # fmt: skip
    assert "blue" in done[2]["result"]
    assert "No secrets in files." in done[3]["result"]
    assert events[-1]["payload"]["protected_paths"] == [path]
    live.goto("/approvals")
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    expect(page.get_by_role("region", name="Decided")).to_contain_text("Approved once by Ada Byron")
    live.picture("55-decided")
