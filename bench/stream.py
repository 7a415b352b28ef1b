"""Streams, measured where a person is: in the browser, and with many watchers."""

import asyncio
import json
import shutil
import time
from typing import Any

from playwright.sync_api import Page, sync_playwright
from tests.behaviour.platform import Platform
from tests.fixtures.rows import make_run

from hypercode.domain.event import NoticeRaised
from hypercode.events import log
from hypercode.store.database import Database

EVENTS = 1000
WRITERS = 4
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
]
POST_AND_WATCH = """async ([csrf, project]) => {
  const began = performance.now();
  const answer = await fetch('/api/v1/tasks', {method: 'POST', credentials: 'same-origin',
    headers: {'Content-Type': 'application/json', 'X-HyperCode-CSRF': csrf},
    body: JSON.stringify({project_id: project, prompt: 'Measure.', model: 'builtin/repair'})});
  const {run_id} = await answer.json();
  const source = new EventSource(`/api/v1/runs/${run_id}/events`);
  const times = await new Promise((done) => {
    const seen = {};
    for (const type of ['run.queued', 'run.status_changed']) {
      source.addEventListener(type, () => {
        seen[type] ??= performance.now() - began;
        if (seen['run.queued'] && seen['run.status_changed']) done(seen);
      });
    }
  });
  source.close();
  await fetch(`/api/v1/runs/${run_id}/cancel`, {method: 'POST', credentials: 'same-origin', headers: {'X-HyperCode-CSRF': csrf}});
  return times;
}"""


def first_event_ms(platform: Platform, times: int) -> dict[str, float]:
    """From POST in the page to the first event there, and to the first one that a worker wrote."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        csrf, project = _sign_in(page, platform)
        seen = [page.evaluate(POST_AND_WATCH, [csrf, project]) for _ in range(times)]
        browser.close()
    return {
        "queued": sorted(one["run.queued"] for one in seen)[times // 2],
        "taken by a worker": sorted(one["run.status_changed"] for one in seen)[times // 2],
    }


def _sign_in(page: Page, platform: Platform) -> tuple[str, str]:
    page.goto(f"{platform.url}/login")
    token = platform.setup_url.rsplit("token=", 1)[1]
    script = """async ([path, csrf, body]) => (await fetch(path, {method: 'POST', credentials: 'same-origin',
        headers: {'Content-Type': 'application/json', 'X-HyperCode-CSRF': csrf}, body: JSON.stringify(body)})).json()"""
    account = {
        "token": token,
        "email": "bench@example.com",
        "name": "Bench",
        "password": "a long enough password",
    }
    page.evaluate(script, ["/api/v1/setup", "", account])
    me: dict[str, Any] = page.evaluate("async () => (await fetch('/api/v1/me')).json()")
    source = str(platform.data_dir.parent / "project")
    body = {"name": "bench", "source_kind": "local_path", "source": source}
    project = page.evaluate(script, ["/api/v1/projects", me["csrf_token"], body])
    return me["csrf_token"], project["id"]


async def stream_rate(platform: Platform) -> dict[str, float]:
    """Events a second into the log by several writers, one transaction each, with as many watchers as given."""
    state = (platform.data_dir / "run" / "supervisor.json").read_text()
    url = json.loads(state)["database_url"]
    database = Database(url)
    run_ids = [await make_run(database) for _ in range(WRITERS)]
    began = time.perf_counter()

    async def write(run_id: str) -> None:
        for n in range(EVENTS // WRITERS):
            async with database.transaction() as session:
                notice = NoticeRaised(level="info", code="BENCH", message=f"event {n}", hint="")
                await log.append(session, run_id, f"s{n}", [notice])

    await asyncio.gather(*(write(run_id) for run_id in run_ids))
    seconds = time.perf_counter() - began
    await database.dispose()
    return {"appended a second": round(EVENTS / seconds), "writers": WRITERS}
