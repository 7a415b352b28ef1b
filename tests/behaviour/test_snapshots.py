"""A run's snapshots, as a user meets them once it has ended: its diffs, and the step that broke a check."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.behaviour.platform import Platform
from tests.behaviour.test_durable import SCRIPT, watch_and_kill

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]


@pytest.mark.requirement("snapshots:every-write")
@pytest.mark.requirement("snapshots:bisect")
def test_every_writing_call_has_one_snapshot_and_the_step_that_broke_a_check_is_found(
    platform: Platform, project: Callable[..., Path], tmp_path: Path
) -> None:
    script = tmp_path / "marks.yaml"
    script.write_text(json.dumps(SCRIPT))
    lines, _gap, _exit_code = watch_and_kill(platform, project("inventory"), f"scripted:{script}", "worker")
    run_id = str(lines[0]["run_id"])
    wrote = [
        line["seq"]
        for line in lines
        if line["type"] == "tool_call.completed" and line["payload"]["tool"] == "sh_exec"  # type: ignore[index]
    ]
    assert len(wrote) == 8

    unbroken = "sh -c '! grep -q \"mark 5\" marks.txt'"
    bisected = platform.command("task", "bisect", run_id, "--check", unbroken, "--json")
    assert bisected.returncode == 0, bisected.stderr
    found = json.loads(bisected.stdout)
    assert found["snapshots"] == 1 + 8, "what it started from, and one for each call"
    assert (found["reason"], found["broken"]["seq"], found["before"]["seq"]) == ("broken", wrote[5], wrote[4])
    assert found["checks"] <= 6
    assert "sh_exec): fails" in bisected.stderr

    span = ("--from", str(wrote[2]), "--to", str(wrote[4]))
    diff = platform.command("task", "diff", run_id, *span)
    assert [line for line in diff.stdout.splitlines() if line.startswith("+mark")] == ["+mark 3", "+mark 4"]
    whole = json.loads(platform.command("task", "diff", run_id, "--json").stdout)
    assert whole["files"] == [{"path": "marks.txt", "status": "added"}]
    assert whole["to_seq"] == wrote[7]

    nothing = platform.command("task", "bisect", run_id, "--check", "true")
    assert "no step is to blame" in nothing.stdout
    bad = platform.command("task", "bisect", run_id, "--check", "no-such-command")
    assert bad.returncode != 0
    assert "could not be started" in bad.stderr
