"""A run waits for a person: parked, over kills of every process, and its effects happen once."""

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from tests.behaviour.conftest import EXAMPLES
from tests.behaviour.person import Person, first_admin
from tests.behaviour.platform import Outcome, Platform, running, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
MakeProject = Callable[..., Path]
HELD_S = "0.5"
"""A worker holds a run this long: whatever a person does comes after it was parked."""


@dataclass(frozen=True)
class Waiting:
    """A platform whose runs are parked soon, and its admin."""

    platform: Platform
    person: Person

    def start(self, source: Path, turns: list[dict[str, Any]], budget: dict[str, Any] | None = None) -> str:
        """Start a scripted run and return its id."""
        script = source.parent / f"{source.name}.yaml"
        script.write_text(json.dumps({"turns": turns}))
        place = {"source": str(source), "source_kind": "local_path", "name": source.parent.name}
        project = self.person.post("/projects", place)["id"]
        task = {"project_id": project, "prompt": "Do it.", "model": f"scripted:{script}", "routing": "coder"}
        task |= {"budget": budget} if budget else {}
        return self.person.post("/tasks", task)["run_id"]

    def get(self, path: str) -> dict[str, Any]:
        """Ask again while a gateway that was killed is away."""
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

    def pending(self, run_id: str, noun: str = "approvals", state: str = "pending") -> str:
        """Wait until the run asks something and is parked; return the id of what it asks."""
        found: list[str] = []

        def asks() -> bool:
            items = self.get(f"/runs/{run_id}/{noun}")["items"]
            found[:] = [item["id"] for item in items if item["state"] == state]
            return (
                bool(found)
                and self.query("SELECT parked_at FROM runs WHERE id = %s", run_id)[0][0] is not None
            )

        wait_for(asks, "the question", 120)
        return found[0]

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        url = json.loads((self.platform.data_dir / "run" / "supervisor.json").read_text())["database_url"]
        with psycopg.connect(url, autocommit=True) as connection:
            done = connection.execute(statement.encode(), values)
            return done.fetchall() if done.description else []

    def decide(self, approval_id: str, **decision: str) -> None:
        self.person.post(f"/approvals/{approval_id}/decision", decision)

    def kill(self, name: str) -> None:
        for pid in self.platform.child_pids(name):
            os.kill(pid, signal.SIGKILL)

    def ended(self, run_id: str) -> list[dict[str, Any]]:
        """Wait for the run's end and return its events."""
        wait_for(lambda: self.get(f"/runs/{run_id}")["ended_at"] is not None, "the end", 120)
        events = self.get(f"/runs/{run_id}/events")["items"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        return events

    def diff(self, events: list[dict[str, Any]]) -> str:
        return self.person.client.get(f"/api/v1/artifacts/{events[-1]['payload']['diff']}").text


@pytest.fixture(scope="module")
def waiting() -> Iterator[Waiting]:
    with tempfile.TemporaryDirectory(prefix="hc-up-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        platform = Platform(Path(directory) / "d", environment={"HYPERCODE_APPROVALS__HELD_S": HELD_S})
        with (
            running(platform, ["--root", "/tmp", "--root", str(EXAMPLES)]) as live,
            first_admin(live) as person,
        ):
            yield Waiting(live, person)


PROTECTED = (
    "mkdir -p .github/workflows .vscode .claude .githooks && echo a > .github/workflows/ci.yml && echo a > .vscode/tasks.json"
    " && echo a > .claude/settings.json && echo '* filter=x' > .gitattributes && echo A=1 > .env && echo a > .githooks/x"
    " && ln -s src .idea && echo a > .git/hooks/pre-commit && echo a > plain.txt"
)
"""Row F9 of the attack table, through the shell: no rule looks into a script."""


def call(tool: str, **arguments: object) -> dict[str, Any]:
    return {"say": f"{tool}.", "calls": [{"tool": tool, "arguments": arguments}]}


def mark(number: int) -> dict[str, Any]:
    return call("sh_exec", script=f"echo mark {number} >> marks.txt")


def ask(name: str) -> dict[str, Any]:
    """Two calls, of which the second needs a person: the first must not be done again."""
    turn = call("fs_write", path=f".github/workflows/{name}.yml", content=f"on: {name}\n", create_dirs=True)
    return {
        **turn,
        "calls": [*call("sh_exec", script=f"echo before {name} >> marks.txt")["calls"], *turn["calls"]],
    }


def of(events: list[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    return [event["payload"] for event in events if event["type"] == type_]


@pytest.mark.promise(8, 12)
@pytest.mark.requirement("approval:durable")
def test_approvals_survive_kills_of_every_process(waiting: Waiting, project: MakeProject) -> None:
    run_id = waiting.start(
        project("inventory"),
        [mark(0), ask("one"), mark(1), ask("two"), ask("three"), mark(2), {"say": "Done."}],
    )
    first = waiting.pending(run_id)
    waiting.kill("worker")  # nobody is there who could work on it when the decision comes
    waiting.decide(first, decision="approve")
    waiting.kill("worker")

    second = waiting.pending(run_id)
    waiting.kill("tools")
    waiting.decide(second, decision="approve", scope="once")
    waiting.kill("tools")

    third = waiting.pending(run_id)
    waiting.kill("gateway")
    wait_for(lambda: waiting.get("/me") is not None, "the gateway")
    waiting.decide(third, decision="approve")
    waiting.kill("gateway")

    events = waiting.ended(run_id)
    diff = waiting.diff(events)
    assert [diff.count(f"+mark {number}\n") for number in range(3)] == [1] * 3
    for name in ("one", "two", "three"):
        assert diff.count(f"+before {name}\n") == 1
        assert diff.count(f"+on: {name}\n") == 1
    assert [payload["turn"] for payload in of(events, "turn.completed")] == list(range(1, 8))
    assert [payload["code"] for payload in of(events, "tool_call.completed")] == ["OK"] * 9
    assert [payload["approval_id"] for payload in of(events, "approval.decided")] == [first, second, third]
    assert {item["state"] for item in waiting.get(f"/runs/{run_id}/approvals")["items"]} == {"used"}
    ((segment, waited_s),) = waiting.query("SELECT segment, waited_s FROM runs WHERE id = %s", run_id)
    assert segment == 3
    assert waited_s > 3 * float(HELD_S)  # which the budget of time does not pay for
    # One audited decision to run each of the three, and it names the approval.
    ran = waiting.query(
        "SELECT body->>'approval' FROM audit WHERE run_id = %s AND kind = 'decision' AND body ? 'approved_by'"
        " ORDER BY seq",
        run_id,
    )
    assert [row[0] for row in ran] == [first, second, third]
    assert of(events, "run.finished")[0]["protected_paths"] == [
        f".github/workflows/{name}.yml" for name in ("one", "three", "two")
    ]


@pytest.mark.requirement("approval:denied")
@pytest.mark.requirement("question:answered")
def test_a_refusal_an_expiry_and_an_answer_are_told_to_the_agent(
    waiting: Waiting, project: MakeProject
) -> None:
    asks = call("ask_user", question="Which colour?", options=["red", "blue"])
    run_id = waiting.start(project("inventory"), [ask("one"), ask("two"), asks, mark(1), {"say": "Done."}])
    waiting.decide(waiting.pending(run_id), decision="deny", note="Leave CI alone.")
    second = waiting.pending(run_id)
    waiting.query("UPDATE approvals SET expires_at = now() WHERE id = %s", second)
    question = waiting.pending(run_id, "questions", "open")
    assert waiting.get(f"/runs/{run_id}")["wait_reason"] == "answer"
    waiting.kill("worker")
    waiting.person.post(f"/questions/{question}/answer", {"answer": "green, if it can be had"})
    events = waiting.ended(run_id)
    done = of(events, "tool_call.completed")
    assert [payload["code"] for payload in done] == ["OK", "POLICY_DENIED", "OK", "POLICY_DENIED", "OK", "OK"]
    assert "Leave CI alone." in done[1]["result"]
    assert "expired" in done[3]["result"]
    assert "green, if it can be had" in done[4]["result"]
    assert [(payload["state"], payload["by"]) for payload in of(events, "approval.decided")] == [
        ("denied", "Ada"),
        ("expired", None),
    ]
    diff = waiting.diff(events)
    assert ".github" not in diff
    assert "+mark 1" in diff


@pytest.mark.requirement("approval:cancel")
def test_a_parked_run_can_be_stopped(waiting: Waiting, project: MakeProject) -> None:
    run_id = waiting.start(project("inventory"), [mark(0), ask("one"), {"say": "Done."}])
    approval = waiting.pending(run_id)
    (workspace,) = waiting.query("SELECT workspace_id FROM runs WHERE id = %s", run_id)[0]
    containers = ["docker", "ps", "-aq", "--filter", f"label=dev.hypercode.run={workspace}"]
    assert subprocess.run(containers, capture_output=True, text=True, check=True).stdout
    waiting.person.post(f"/runs/{run_id}/cancel", {})
    events = waiting.ended(run_id)
    assert of(events, "run.finished")[0]["status"] == "cancelled"
    assert "+mark 0" in waiting.diff(events)
    assert waiting.get(f"/approvals/{approval}")["state"] == "withdrawn"
    wait_for(
        lambda: not subprocess.run(containers, capture_output=True, text=True, check=True).stdout,
        "the clean-up",
    )


@pytest.mark.requirement("run:asks")
@pytest.mark.requirement("apply:protected")
def test_run_and_apply_ask_in_a_terminal_and_refuse_without_one(
    waiting: Waiting, project: MakeProject, tmp_path: Path
) -> None:
    repo = project("inventory")
    script = tmp_path / "asks.yaml"
    question = call("ask_user", question="Which colour?", options=["red", "blue"])
    turns = [call("sh_exec", script=PROTECTED), ask("one"), question, {"say": "Done."}]
    script.write_text(json.dumps({"turns": turns}))
    alone = waiting.platform.run(repo, "Do it.", model=f"scripted:{script}")
    done = alone.of("tool_call.completed")
    assert [each["code"] for each in done] == ["OK", "OK", "POLICY_DENIED", "OK"]
    assert all("no terminal" in each["result"] for each in done[2:])
    _apply_asks(waiting.platform, repo, alone)

    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        ["hypercode", "run", "--repo", str(repo), "--model", f"scripted:{script}", "--json", "Do it."],
        executable=Path(sys.executable).parent / "hypercode", env=waiting.platform.env(),
        stdin=other_end, stdout=subprocess.PIPE, stderr=other_end, text=True,
    )  # fmt: skip
    os.close(other_end)
    said = until(terminal, "Approve?")
    assert "+on: one" in said
    assert "coder.asks_for_protected_paths" in said
    os.write(terminal, b"maybe\n")
    until(terminal, "Approve?")
    os.write(terminal, b"y\n")
    until(terminal, "Your answer:")
    os.write(terminal, b"2\n")
    out, _ = process.communicate(timeout=120)
    os.close(terminal)
    events = [json.loads(line) for line in out.splitlines()]
    done = of(events, "tool_call.completed")
    assert [each["code"] for each in done] == ["OK"] * 4
    assert "blue" in done[3]["result"]
    assert of(events, "approval.decided")[0]["by"] == "local"
    assert "+on: one" in events[-1]["payload"]["diff"]


def _apply_asks(platform: Platform, repo: Path, outcome: Outcome) -> None:
    """What the script wrote needs a person, though no rule could look into the script."""
    assert outcome.finished["protected_paths"] == [
        ".claude/settings.json", ".env", ".gitattributes", ".githooks/x", ".github/workflows/ci.yml", ".idea",
        ".vscode/tasks.json",
    ]  # fmt: skip
    assert "pre-commit" not in outcome.finished["diff"]
    run_id = outcome.last["run_id"]
    refused = platform.command("apply", run_id, "--repo", str(repo), stdin=subprocess.DEVNULL)
    assert refused.returncode == 3
    assert ".github/workflows/ci.yml" in refused.stderr
    assert not (repo / "plain.txt").exists()
    allowed = platform.command("apply", run_id, "--repo", str(repo), "--allow-protected")
    assert allowed.returncode == 0, allowed.stderr
    assert (repo / ".env").read_text() == "A=1\n"
    subprocess.run(["git", "clean", "-fdq"], cwd=repo, check=True)


def until(terminal: int, words: str) -> str:
    """Read from a terminal until these words come."""
    said = ""
    while words not in said:
        said += os.read(terminal, 4096).decode()
    return said
