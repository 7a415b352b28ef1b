"""Runs outlive the processes that work on them."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.behaviour.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


def mark(number: int) -> dict[str, object]:
    script = f"echo mark {number} >> /workspace/marks.txt"
    return {"say": f"Mark {number}.", "calls": [{"tool": "sh_exec", "arguments": {"script": script}}]}


SCRIPT = {
    "turns": [
        *(mark(number) for number in range(4)),
        {"say": "A long one.", "calls": [{"tool": "fs_tree", "arguments": {"path": "."}}], "delay_s": 2.0},
        *(mark(number) for number in range(4, 8)),
        {"say": "Marked eight times."},
    ]
}


def watch_and_kill(
    platform: Platform, repo: Path, model: str, victim: str
) -> tuple[list[dict[str, object]], float, int]:
    """Follow a run, kill a process with -9 once the long turn is on; returns lines, seconds to the next, exit code."""
    lines: list[dict[str, object]] = []
    killed_at, gap = 0.0, 0.0
    with platform.start_run(repo, "Mark.", model=model) as process:
        assert process.stdout is not None
        for text in process.stdout:
            lines.append(json.loads(text))
            if killed_at and not gap:
                gap = time.monotonic() - killed_at
            completed = [line for line in lines if line["type"] == "tool_call.completed"]
            if not killed_at and len(completed) == 4:
                for pid in platform.child_pids(victim):
                    os.kill(pid, signal.SIGKILL)
                killed_at = time.monotonic()
    return lines, gap, process.returncode


@pytest.mark.promise(3, 12)
@pytest.mark.requirement("durable:worker-killed")
@pytest.mark.requirement("durable:tools-killed")
@pytest.mark.parametrize("victim", ["worker", "tools"])
def test_a_killed_process_costs_nothing_but_a_moment(
    platform: Platform, project: Callable[..., Path], tmp_path: Path, victim: str
) -> None:
    script = tmp_path / "marks.yaml"
    script.write_text(json.dumps(SCRIPT))
    lines, gap, exit_code = watch_and_kill(platform, project("inventory"), f"scripted:{script}", victim)
    assert exit_code == 1, lines[-1]  # it ran to its end; it was not asked to fix anything
    diff = str(lines[-1]["payload"]["diff"])  # type: ignore[index]
    assert [diff.count(f"+mark {number}\n") for number in range(8)] == [1] * 8
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    turns = [line["payload"]["turn"] for line in lines if line["type"] == "turn.completed"]  # type: ignore[index]
    assert turns == list(range(1, 11))
    # The long turn itself takes two seconds of the gap, again after the kill of a worker.
    assert gap < 2.0 + 3.0
