"""What a cluster is given to do while it is killed, and who watches: tasks that leave countable marks, and viewers."""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml
from tests.behaviour.platform import wait_for
from tests.chaos.cluster import Cluster

TURNS = 30
MARKED = "marks.txt"
ENDED = ("succeeded", "failed", "cancelled")
AWAY_S = 120.0


def mark(n: int) -> str:
    return f"mark-{n}"


def write_script(path: Path) -> None:
    """Turns that append one line each, by a shell (not repeatable) or as a file of its own (a plain write)."""
    turns: list[dict[str, Any]] = []
    for n in range(TURNS):
        if n % 3 == 2:
            call = {"tool": "fs_write", "arguments": {"path": f"{mark(n)}.txt", "content": f"{mark(n)}\n"}}
        else:
            script = f"echo {mark(n)} >> /workspace/{MARKED}"
            call = {"tool": "sh_exec", "arguments": {"script": script}}
        turns.append({"say": f"Mark {n}.", "calls": [call], "delay_s": 0.15})
    path.write_text(yaml.safe_dump({"turns": [*turns, {"say": "Marked."}]}))


@dataclass
class Viewer:
    """Watches one run to its end, by turns at one gateway and the other; goes on from its last id after every break.

    It gives up when no gateway has told it anything for long: a heartbeat is something too.
    """

    urls: list[str]
    headers: dict[str, str]
    run_id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    reconnects: int = 0
    heard_at: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        self.heard_at = time.monotonic()
        while not self.over.is_set() and time.monotonic() < self.heard_at + AWAY_S:
            try:
                self._follow(self.urls[self.reconnects % len(self.urls)])
            except httpx2.HTTPError:
                time.sleep(0.05)
            self.reconnects += 1

    def _follow(self, url: str) -> None:
        headers = {**self.headers, "Last-Event-ID": str(self.events[-1]["seq"] if self.events else 0)}
        timeout = httpx2.Timeout(10, read=30)
        with (
            httpx2.Client(timeout=timeout) as client,
            client.stream("GET", f"{url}/api/v1/runs/{self.run_id}/events", headers=headers) as stream,
        ):
            stream.raise_for_status()
            for line in stream.iter_lines():
                self.heard_at = time.monotonic()
                event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
                if "seq" in event:
                    self.events.append(event)
                if event.get("type") in ("run.finished", "end"):
                    self.over.set()
                    return


class Team:
    """A person with a token, their project, and the tasks they keep handing in."""

    def __init__(self, cluster: Cluster, repository: Path) -> None:
        self._cluster = cluster
        self.viewers: dict[str, Viewer] = {}
        self._threads: list[threading.Thread] = []
        url = cluster.gateways[0]
        with httpx2.Client(base_url=f"{url}/api/v1", headers={"Origin": url}, timeout=30) as client:
            account = {"email": "ada@example.org", "name": "Ada", "password": "four words of one person"}
            answer = client.post("/setup", json={"token": cluster.setup_token(), **account})
            answer.raise_for_status()
            csrf = {"X-HyperCode-CSRF": answer.json()["csrf_token"]}
            token = client.post("/tokens", json={"name": "chaos"}, headers=csrf).raise_for_status().json()
            self.headers = {"Authorization": f"Bearer {token['secret']}"}
            body = {"name": "marks", "source_kind": "local_path", "source": str(repository)}
            project = client.post("/projects", json=body, headers=csrf).raise_for_status().json()
            self._project_id = project["id"]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """Ask one gateway, then the other, until one answers: a person would press the button again."""
        deadline = time.monotonic() + AWAY_S
        turn = 0
        while True:
            url = self._cluster.gateways[turn % len(self._cluster.gateways)]
            turn += 1
            try:
                answer = httpx2.request(
                    method, f"{url}/api/v1{path}", headers={**self.headers, **options.get("headers", {})},
                    json=options.get("json"), timeout=30,
                )  # fmt: skip
            except httpx2.TransportError:
                answer = None
            if answer is not None and answer.status_code < 500:
                answer.raise_for_status()
                return answer.json()
            assert time.monotonic() < deadline, f"no gateway answers {method} {path}"
            time.sleep(0.05)

    def hand_in(self, number: int) -> str:
        """Give one more task; under an idempotency key, since its answer may be lost. Returns the run's id."""
        body = {
            "project_id": self._project_id, "prompt": f"Chaos {number:04d}.", "model": "openai-compatible:chaos",
            "routing": "coder", "checks": ["true"], "budget": {"max_turns": 100},
        }  # fmt: skip
        accepted = self.ask(
            "POST", "/tasks", json=body, headers={"Idempotency-Key": f"chaos-task-{number:04d}"}
        )
        run_id = str(accepted["run_id"])
        viewer = Viewer(list(self._cluster.gateways), self.headers, run_id)
        thread = threading.Thread(target=viewer.watch, daemon=True)
        thread.start()
        self.viewers[run_id] = viewer
        self._threads.append(thread)
        return run_id

    def goal(self, run_id: str) -> str:
        return f"Chaos {list(self.viewers).index(run_id) + 1:04d}"

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """The whole log, page by page."""
        events: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            path = f"/runs/{run_id}/events?after={after}&limit=1000"
            page = self.ask("GET", path, headers={"Accept": "application/json"})
            events += page["items"]
            after = page["next_after"]
        return events

    def diff(self, run_id: str) -> str:
        """The diff that the run left; empty when it left none."""
        for artifact in self.ask("GET", f"/runs/{run_id}/artifacts")["items"]:
            if artifact["kind"] == "diff":
                url = f"{self._cluster.gateways[0]}/api/v1/artifacts/{artifact['id']}"
                return httpx2.get(url, headers=self.headers, timeout=30).raise_for_status().text
        return ""

    def asked(self, model_url: str) -> list[dict[str, Any]]:
        return httpx2.get(f"{model_url}/asked", timeout=30).json()

    def live(self) -> list[str]:
        return [run_id for run_id, viewer in self.viewers.items() if not viewer.over.is_set()]

    def until_done(self, seconds: float) -> None:
        try:
            wait_for(lambda: not self.live(), "the end of all runs", seconds)
        except AssertionError as late:
            states = self._cluster.state_of(self.live())
            heard = [f"{run_id}: heard {time.monotonic() - self.viewers[run_id].heard_at:.0f} s ago, "
                     f"{len(self.viewers[run_id].events)} events" for run_id in self.live()]  # fmt: skip
            raise AssertionError("\n".join([str(late), states, *heard])) from late
        for thread in self._threads:
            thread.join(10)
