"""An agent asks to deploy an app; a person approves, and opens its preview from the task's page. The app is hostile."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, expect
from tests.behaviour.browser import Window, chromium, pictures_folder, window
from tests.behaviour.conftest import EXAMPLES
from tests.behaviour.platform import Platform, running

pytestmark = [pytest.mark.docker, pytest.mark.browser, pytest.mark.timeout(600)]
MakeProject = Callable[..., Path]
RUN_MS = 240_000
APP = r'''
import http.server, json, threading
go = threading.Event()
PAGE = """<!doctype html><title>app</title><h1>A shop</h1><pre id=seen></pre><script>
const at = [`http://localhost:${location.port}`, `http://127.0.0.1:${location.port}`];
const tried = {};
const attempt = async (name, work) => { try { tried[name] = String(await work()); } catch (error) { tried[name] = "refused"; } };
(async () => {
  for (const origin of at) {
    await attempt("read " + origin, async () => (await fetch(origin + "/api/v1/me", {credentials: "include"})).text());
    await attempt("post " + origin, async () => (await fetch(origin + "/api/v1/tokens", {method: "POST", mode: "no-cors",
      credentials: "include", headers: {"Content-Type": "text/plain"}, body: JSON.stringify({name: "stolen"})})).type);
  }
  await attempt("own api", async () => (await fetch("/api/v1/me")).text());
  await attempt("worker", async () => { await navigator.serviceWorker.register("/worker.js"); return "registered"; });
  tried["cookies"] = document.cookie;
  tried["opener"] = String(window.opener);
  tried["referrer"] = document.referrer;
  const frame = document.createElement("iframe");
  frame.src = at[0] + "/";
  await new Promise((done) => { frame.onload = done; document.body.append(frame); });
  await attempt("frame", () => frame.contentDocument.body.innerText);
  document.getElementById("seen").textContent = JSON.stringify(tried);
})();
</script>"""
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, text, kind="text/html"):
        data = text.encode()
        self.send_response(200)
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(data)), "Clear-Site-Data": '"cookies", "storage"',
            "Strict-Transport-Security": "max-age=1", "X-Own": "kept", "Content-Security-Policy": "img-src *",
        }.items():
            self.send_header(name, value)
        self.send_header("Set-Cookie", "hypercode_session=stolen; Domain=localhost; Path=/")
        self.send_header("Set-Cookie", "mine=1")
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        if self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(b"data: one\n\n")
            go.wait(30)
            self.wfile.write(b"data: two\n\n")
            self.close_connection = True
        elif self.path == "/go":
            go.set()
            self.answer("gone")
        elif self.path == "/worker.js":
            self.answer("", "text/javascript")
        elif self.path.startswith("/echo"):
            self.answer(json.dumps([self.path, self.headers.items()]), "application/json")
        else:
            self.answer(PAGE)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(str(len(body)))
http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
'''


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        home.chmod(0o711)
        deploy = {
            "image": "environment",
            "port": 8000,
            "command": ["python3", "-c", APP],
            "health": {"path": "/echo", "interval_s": 0.2},
        }
        script = {"turns": [{"calls": [{"tool": "deploy", "arguments": deploy}]}, {"say": "It runs."}]}
        (home / "deploys.yaml").write_text(json.dumps(script))
        arguments = ["--root", "/tmp", "--root", str(EXAMPLES)]
        with running(Platform(home / "d"), arguments) as live:
            yield live


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def live(platform: Platform, browser: Browser, tmp_path: Path) -> Iterator[Window]:
    """The first admin, signed in at the address that `up` prints."""
    url = platform.setup_url.partition("/login")[0]
    with window(browser, url, pictures_folder(tmp_path / "pictures")) as live:
        account = {"email": "ada@example.org", "name": "Ada", "password": "four words of one person"}
        token = platform.setup_url.partition("token=")[2]
        answer = live.context.request.post(
            f"{url}/api/v1/setup", data={"token": token, **account}, headers={"Origin": url}
        )
        assert answer.status == 201, answer.text()
        yield live


def asked(platform: Platform, host: str, path: str = "/", **options: object) -> httpx2.Response:
    """Ask the gateway as somebody who is not signed in; options are httpx2's."""
    with httpx2.Client(base_url=platform.url, headers={"Host": host}, timeout=30) as client:
        return client.request(str(options.pop("method", "GET")), path, **options)  # type: ignore[arg-type]


@pytest.mark.requirement("preview:behind-sign-in")
def test_a_hostile_app_is_seen_by_who_is_signed_in_and_reaches_nothing(
    live: Window, platform: Platform, project: MakeProject
) -> None:
    source = live.api("/projects", {"source_kind": "local_path", "source": str(project("textkit"))})
    script = platform.data_dir.parent / "deploys.yaml"
    task = live.api(
        "/tasks", {"project_id": source["id"], "prompt": "Deploy it.", "model": f"scripted:{script}"}
    )
    page = live.goto(f"/task?id={task['task_id']}")
    approve = page.get_by_role("button", name="Approve once")
    expect(approve).to_be_visible(timeout=RUN_MS)
    live.picture("19-asks-to-deploy")
    approve.click()
    deployments = page.get_by_role("region", name="Deployments")
    expect(deployments).to_contain_text("Running", timeout=RUN_MS)
    expect(page.get_by_role("log")).to_contain_text("Finished", timeout=RUN_MS)
    live.picture("20-deployment")
    assert live.complaints == []

    with live.context.expect_page() as opened:
        deployments.get_by_role("button", name="Open the preview").click()
    preview = opened.value
    seen = preview.locator("#seen")
    expect(seen).not_to_be_empty()
    preview.screenshot(path=live.pictures / "21-preview.png")
    assert re.fullmatch(rf"http://[0-9a-f]{{32}}\.preview\.localhost:{platform.port}/", preview.url)
    tried = json.loads(seen.inner_text())
    _nothing_was_reached(tried)
    assert [token["name"] for token in live.api("/tokens")["items"]] == []
    assert live.api("/me")["user"]["email"] == "ada@example.org"
    # The browser says of each thing that it refused the app; the page of ours had no complaint before.
    live.complaints.clear()

    host = preview.url.split("/")[2]
    cookies = {cookie["name"]: cookie for cookie in live.context.cookies(preview.url)}
    assert set(cookies) == {"hypercode_preview"}
    assert cookies["hypercode_preview"]["domain"] == host.partition(":")[0]
    assert cookies["hypercode_preview"]["httpOnly"]
    _only_with_the_pass(platform, host, str(cookies["hypercode_preview"]["value"]))
    _the_platform_is_elsewhere(platform, host)

    ticket = live.api(f"/deployments/{_deployment(live, task['task_id'])}/ticket", {})["url"]
    path = "/" + ticket.split("/", 3)[3]
    other = "0" * 32 + host[32:]
    assert asked(platform, other, path).status_code == 401
    assert asked(platform, host, path).status_code == 303
    assert asked(platform, host, path).status_code == 401
    preview.close()

    deployments.get_by_role("button", name="Stop it").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    expect(deployments).to_contain_text("Stopped")
    value = {"Cookie": f"hypercode_preview={cookies['hypercode_preview']['value']}"}
    assert asked(platform, host, headers=value).status_code == 404
    live.api("/me")
    token = live.api("/me")["csrf_token"]
    live.context.request.post(
        f"{live.url}/api/v1/logout", headers={"X-HyperCode-CSRF": token, "Origin": live.url}
    )
    assert asked(platform, host, headers=value).status_code == 401


def _deployment(live: Window, task_id: str) -> str:
    return str(live.api(f"/tasks/{task_id}/deployments")["items"][0]["id"])


def _nothing_was_reached(tried: dict[str, str]) -> None:
    reads = {name: result for name, result in tried.items() if name.startswith("read ")}
    assert set(reads.values()) == {"refused"}, tried
    # It was sent, and its answer can't be read; that it changed nothing is seen in the list of tokens.
    assert {result for name, result in tried.items() if name.startswith("post ")} <= {"opaque", "refused"}
    assert "ada@example.org" not in json.dumps(tried)
    assert tried["worker"] == "refused"
    assert (tried["cookies"], tried["opener"], tried["referrer"]) == ("", "null", "")
    assert tried["frame"] == "refused"
    assert "A shop" in tried["own api"]


def _only_with_the_pass(platform: Platform, host: str, value: str) -> None:
    refused = asked(platform, host)
    assert refused.status_code == 401
    assert "A shop" not in refused.text
    assert "default-src 'none'" in refused.headers["Content-Security-Policy"]
    for wrong in (value[:-1], "", value + "x"):
        assert asked(platform, host, headers={"Cookie": f"hypercode_preview={wrong}"}).status_code == 401
    pass_ = {"Cookie": f"hypercode_session=a-secret; hypercode_preview={value}; other=1"}
    sent = {**pass_, "Authorization": "Bearer a-secret", "X-HyperCode-CSRF": "a-secret", "X-Own": "kept"}
    answer = asked(platform, host, "/echo//a%2F..%2f?q=%20", headers=sent)
    target, headers = answer.json()
    assert target == "/echo//a%2F..%2f?q=%20"
    assert "a-secret" not in answer.text
    assert value not in answer.text
    received = {name.lower(): text for name, text in headers}
    assert (received["host"], received["x-own"]) == (host, "kept")
    assert "cookie" not in received
    assert answer.headers["X-Own"] == "kept"
    assert answer.headers.get_list("Content-Security-Policy") == ["img-src *", "frame-ancestors 'none'"]
    for name in ("Set-Cookie", "Clear-Site-Data", "Strict-Transport-Security"):
        assert name not in answer.headers
    posted = asked(platform, host, method="POST", headers=pass_, content=b"x" * 2_000_000)
    assert posted.text == "2000000"
    assert asked(platform, host, method="POST", headers=pass_, content=b"x" * 9_000_000).status_code == 413
    assert asked(platform, host, method="TRACE", headers=pass_).status_code == 422
    worker = {**pass_, "Service-Worker": "script"}
    assert asked(platform, host, "/worker.js", headers=worker).status_code == 403
    _events_come_as_they_are_sent(platform, host, pass_)


def _events_come_as_they_are_sent(platform: Platform, host: str, pass_: dict[str, str]) -> None:
    with (
        httpx2.Client(base_url=platform.url, headers={"Host": host, **pass_}, timeout=30) as client,
        client.stream("GET", "/events") as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "data: one"
        # The second is sent only now: the first was not held back.
        assert asked(platform, host, "/go", headers=pass_).text == "gone"
        assert [line for line in lines if line] == ["data: two"]


def _the_platform_is_elsewhere(platform: Platform, host: str) -> None:
    """Neither at a preview's address nor at one that only looks like it."""
    for name in (host, host.upper(), "preview.localhost", "x.preview.localhost:1", host + "."):
        for path in ("/api/v1/setup", "/healthz", "/metrics", "/", "/login"):
            answer = asked(platform, name, path)
            assert answer.status_code in (401, 404), (name, path, answer.status_code)
            assert "hypercode_" not in answer.text
    assert asked(platform, "localhost", "/.hypercode/enter").headers["Content-Type"].startswith("text/html")
