"""A real Chromium on the live platform: what a page complained about, and pictures of every screen."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ASKED_FOR = "HYPERCODE_SCREENSHOTS"
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
NOTE_LOG_CHANGES = """
window.logChanges = [];
new MutationObserver((changes) => {
  const log = (node) => (node.nodeType === 1 ? node : node.parentElement)?.closest('[role="log"]');
  if (changes.some((change) => log(change.target))) window.logChanges.push(Date.now() / 1000);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Playwright keeps an event loop in this thread, so no other test may run while this is open."""
    assert CHROMIUM, "no Chromium on this machine; `make setup-dev` installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Window:
    """A signed-in or anonymous browser window that remembers every complaint."""

    context: BrowserContext
    page: Page
    url: str
    pictures: Path
    complaints: list[str] = field(default_factory=list)

    def listen(self, message: ConsoleMessage) -> None:
        # Chromium itself reports each 401, which is how a page learns that it must show the sign-in.
        asked_who = "401" in message.text and message.location.get("url", "").endswith("/api/v1/me")
        if message.type == "error" and not asked_who:
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def goto(self, path: str) -> Page:
        self.page.goto(path if path.startswith("http") else self.url + path)
        return self.page

    def api(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Call the API as this window's person."""
        request = self.context.request
        if body is None:
            answer = request.get(f"{self.url}/api/v1{path}", headers={"Accept": "application/json"})
        else:
            token = self.api("/me")["csrf_token"]
            headers = {"X-HyperCode-CSRF": token, "Origin": self.url}
            answer = request.post(f"{self.url}/api/v1{path}", data=body, headers=headers)
        assert answer.ok, answer.text()
        return answer.json()

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """All events of a run, page by page."""
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = self.api(f"/runs/{run_id}/events?after={after}")
            found += page["items"]
            after = page["next_after"]
        return found

    def picture(self, name: str, *, whole: bool = True) -> None:
        """Every theme and width when somebody asked for pictures, else two; wide and light afterwards."""
        looks = [("dark", NARROW), ("light", WIDE)]
        if ASKED_FOR in os.environ:
            looks = [("dark", NARROW), ("dark", WIDE), ("light", NARROW), ("light", WIDE)]
        for theme, size in looks:
            self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            self.page.set_viewport_size(size)  # type: ignore[arg-type]
            self.page.evaluate(TWO_FRAMES)
            file = self.pictures / f"{name}-{theme}-{size['width']}.png"
            self.page.screenshot(path=file, full_page=whole, animations="disabled")
            overflow = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{file.name} scrolls sideways by {overflow} px"


@contextmanager
def window(browser: Browser, url: str, pictures: Path, state: Any = None) -> Iterator[Window]:
    """Open a window; leaving it fails when the page complained."""
    pictures.mkdir(parents=True, exist_ok=True)
    context = browser.new_context(storage_state=state, viewport=WIDE, color_scheme="light", locale="en-US")  # type: ignore[arg-type]
    context.set_default_timeout(30_000)
    context.add_init_script(REPORT_VIOLATIONS)
    context.add_init_script(NOTE_LOG_CHANGES)
    page = context.new_page()
    live = Window(context, page, url, pictures)
    context.on("console", live.listen)
    context.on("weberror", lambda failure: live.complaints.append(str(failure.error)))
    try:
        yield live
        assert live.complaints == []
    finally:
        context.close()


def pictures_folder(default: Path) -> Path:
    return Path(os.environ.get(ASKED_FOR, default))
