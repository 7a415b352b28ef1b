"""A platform, its admin, and a model that the test answers for: what steering is tried on."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psycopg
from tests.behaviour.held_model import HeldModel
from tests.behaviour.person import Person
from tests.behaviour.platform import Platform, wait_for


@dataclass
class Steered:
    platform: Platform
    person: Person
    model: HeldModel
    folder: Path
    _projects: list[str] = field(default_factory=list)

    def start(self, prompt: str, routing: str = "coder") -> str:
        """Hand in a task on a small project; return its run's id."""
        if not self._projects:
            repo = self.folder / "calc"
            repo.mkdir()
            (repo / "calc.py").write_text("def add(a, b):\n    return a - b\n")
            (repo / "AGENTS.md").write_text("Notes.\n")
            place = {"source": str(repo), "source_kind": "local_path", "name": "calc"}
            self._projects.append(self.person.post("/projects", place)["id"])
        task = {
            "project_id": self._projects[0],
            "prompt": prompt,
            "model": "openai-compatible:held",
            "routing": routing,
            "checks": ["true"],
        }
        return self.person.post("/tasks", task)["run_id"]

    def tell(self, run_id: str, verb: str, **words: Any) -> dict[str, Any]:
        return self.person.post(f"/runs/{run_id}/commands", {"verb": verb, **words})

    def get(self, path: str) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []

        def asked() -> bool:
            try:
                answer = self.person.client.get(f"/api/v1{path}", headers={"Accept": "application/json"})
            except httpx2.HTTPError:
                return False
            if answer.status_code == 200:
                answers.append(answer.json())
            return bool(answers)

        wait_for(asked, f"an answer to {path}")
        return answers[0]

    def replayed(self, run_id: str) -> dict[str, Any]:
        """What `task replay` says of the run's recording."""
        file = self.folder / f"{run_id}.jsonl"
        exported = self.platform.command("task", "export", run_id, "--out", str(file))
        assert exported.returncode == 0, exported.stderr
        replayed = self.platform.command("task", "replay", str(file), "--json")
        assert replayed.stdout, replayed.stderr
        return json.loads(replayed.stdout)

    def commands(self, run_id: str) -> dict[str, dict[str, Any]]:
        """By id."""
        return {item["id"]: item for item in self.get(f"/runs/{run_id}/commands")["items"]}

    def until(self, run_id: str, holds: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        wait_for(lambda: holds(self.get(f"/runs/{run_id}")), what)
        return self.get(f"/runs/{run_id}")

    def paused(self, run_id: str) -> None:
        self.until(run_id, lambda run: run["wait_reason"] == "paused", "the pause")

    def events(self, run_id: str) -> list[dict[str, Any]]:
        events = self.get(f"/runs/{run_id}/events?limit=500")["items"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        return events

    def ended(self, run_id: str) -> list[dict[str, Any]]:
        self.until(run_id, lambda run: run["ended_at"] is not None, "the end")
        return self.events(run_id)

    def diff(self, events: list[dict[str, Any]]) -> str:
        return self.person.client.get(f"/api/v1/artifacts/{events[-1]['payload']['diff']}").text

    def kill(self, name: str) -> None:
        for pid in self.platform.child_pids(name):
            os.kill(pid, signal.SIGKILL)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        url = json.loads((self.platform.data_dir / "run" / "supervisor.json").read_text())["database_url"]
        with psycopg.connect(url, autocommit=True) as connection:
            done = connection.execute(statement.encode(), values)
            return done.fetchall() if done.description else []


def of(events: list[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    return [event["payload"] for event in events if event["type"] == type_]


def alive(marker: str) -> list[int]:
    """Processes on this machine whose command line holds the marker, those in containers too."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def seconds_until(holds: Callable[[], bool], what: str) -> float:
    began = time.monotonic()
    wait_for(holds, what, 30)
    return time.monotonic() - began
