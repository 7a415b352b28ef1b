"""``hypercode run``, as a new user calls it."""

import hashlib
import json
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.behaviour.platform import Platform, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
MakeProject = Callable[..., Path]


def digest_of(folder: Path) -> str:
    """Every file below a folder, with its mode and content."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(f"{path.relative_to(folder)} {path.lstat().st_mode}\0".encode())
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.mark.requirement("run:fixed")
@pytest.mark.requirement("run:untouched")
@pytest.mark.requirement("run:json")
@pytest.mark.parametrize("name", ["inventory", "textkit", "scheduler"])
def test_a_small_fault_is_fixed_and_verified(platform: Platform, project: MakeProject, name: str) -> None:
    repo = project(name)
    before = digest_of(repo)
    outcome = platform.run(repo, "Make the failing test pass.")
    finished = outcome.finished
    assert (outcome.exit_code, finished["status"], finished["proof"], finished["verified"]) == (
        0, "succeeded", "fixed", True,
    )  # fmt: skip
    assert finished["tests"]["failed"] == 0
    assert finished["tests"]["passed"] >= 10
    assert finished["attestation"]["payloadType"] == "application/vnd.in-toto+json"
    assert [line["seq"] for line in outcome.lines] == list(range(1, len(outcome.lines) + 1))
    assert digest_of(repo) == before
    subprocess.run(["git", "apply", "--check", "-"], input=finished["diff"], text=True, cwd=repo, check=True)


@pytest.mark.requirement("run:dependencies")
def test_a_project_with_dependencies_is_fixed(platform: Platform, project: MakeProject) -> None:
    outcome = platform.run(project("invoices"), "Make the failing test pass.")
    assert (outcome.exit_code, outcome.finished["proof"]) == (0, "fixed")
    assert outcome.of("environment.prepared")


@pytest.mark.requirement("run:honest-unfixable")
def test_what_can_not_be_fixed_is_not_called_fixed(platform: Platform, project: MakeProject) -> None:
    outcome = platform.run(project("unfixable-ledger"), "Make the failing test pass.")
    assert outcome.exit_code == 1
    assert outcome.finished["verified"] is False
    assert outcome.finished["proof"] == "unproved"
    assert outcome.finished["reason"]
    words = outcome.of("turn.completed")[-1]["text"]
    assert len(words) > 40


@pytest.mark.requirement("run:honest-no-tests")
def test_without_tests_nothing_is_proved(platform: Platform, project: MakeProject) -> None:
    outcome = platform.run(project("no-tests"), "Make it better.")
    assert outcome.exit_code == 1
    assert (outcome.finished["proof"], outcome.finished["verified"]) == ("unproved", False)
    assert "no checks were found" in outcome.finished["reason"]


@pytest.mark.requirement("run:standalone")
def test_it_needs_no_server_and_leaves_none(project: MakeProject) -> None:
    with tempfile.TemporaryDirectory(prefix="hc-run-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        alone = Platform(Path(directory) / "d")
        outcome = alone.run(project("inventory", git=False), "Make the failing test pass.")
        assert (outcome.exit_code, outcome.finished["proof"]) == (0, "fixed")
        assert [notice["code"] for notice in outcome.of("notice.raised")] == ["FOLDER_IMPORTED"]
        for name in ("sandboxd", "tools", "verifier", "worker", "gateway"):
            assert alone.child_pids(name) == []
        assert not (alone.data_dir / "postgres" / "data" / "postmaster.pid").exists()


@pytest.mark.requirement("run:uncommitted")
def test_uncommitted_work_is_left_out_or_taken_along(platform: Platform, project: MakeProject) -> None:
    repo = project("inventory")
    (repo / "NOTES.txt").write_text("not committed\n")
    script = repo.parent / "look.yaml"
    script.write_text(
        "turns:\n  - say: Looking.\n    calls: [{tool: fs_tree, arguments: {path: '.', depth: 1}}]\n  - say: Done.\n"
    )
    model = f"scripted:{script}"
    left = platform.run(repo, "Look.", model=model)
    taken = platform.run(repo, "Look.", "--include-dirty", model=model)
    assert "UNCOMMITTED_LEFT_OUT" in [notice["code"] for notice in left.of("notice.raised")]
    assert "NOTES.txt" not in left.of("tool_call.completed")[0]["result"]
    assert "NOTES.txt" in taken.of("tool_call.completed")[0]["result"]


@pytest.mark.requirement("run:bad-input")
@pytest.mark.parametrize("case", ["missing", "file", "empty", "no-commit", "model", "script", "prompt"])
def test_bad_input_says_what_to_do(platform: Platform, tmp_path: Path, case: str) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    subprocess.run(["git", "init", "-q", str(tmp_path / "no-commit")], check=True)
    repo = tmp_path / case if case in ("missing", "file", "empty", "no-commit") else tmp_path
    model = {"model": "gpt-imaginary", "script": "scripted:/nowhere.yaml"}.get(case, "builtin/repair")
    outcome = platform.run(repo, "" if case == "prompt" else "Do it.", model=model)
    assert outcome.exit_code == 2, (outcome.lines, outcome.stderr)
    last = outcome.last
    told = (
        last
        if last["type"] == "error"
        else {"code": last["payload"]["error_code"], "hint": last["payload"]["error_hint"]}
    )
    assert told["code"] in ("INVALID_ARGUMENT", "NOT_FOUND")
    assert told["hint"]


@pytest.mark.requirement("run:check-fails-to-start")
@pytest.mark.parametrize(
    "check", ["no-such-command --now", "sleep 3600", "python -c 'import missing_module'"]
)
def test_a_check_that_can_not_decide_proves_nothing(
    platform: Platform, project: MakeProject, check: str
) -> None:
    repo = project("inventory")
    with_limit = ["--max-time", "40"] if check.startswith("sleep") else []
    outcome = platform.run(repo, "Make the failing test pass.", "--check", check, *with_limit)
    assert outcome.exit_code in (1, 4, 5)
    assert outcome.finished["verified"] is False
    assert outcome.finished["reason"]


@pytest.mark.requirement("run:budget")
def test_a_budget_that_is_used_up_stops_the_run(
    platform: Platform, project: MakeProject, tmp_path: Path
) -> None:
    script = tmp_path / "endless.yaml"
    turns = [
        {
            "say": "Write.",
            "calls": [{"tool": "fs_write", "arguments": {"path": f"note{n}.txt", "content": "x\n"}}],
        }
        for n in range(6)
    ]
    script.write_text(json.dumps({"turns": turns}))
    outcome = platform.run(project("inventory"), "Write.", "--max-turns", "2", model=f"scripted:{script}")
    assert outcome.exit_code == 4
    assert outcome.finished["error_code"] == "BUDGET_EXCEEDED"
    assert "note0.txt" in outcome.finished["diff"]


@pytest.mark.requirement("run:interrupt")
def test_ctrl_c_cancels_and_keeps_the_diff(platform: Platform, project: MakeProject, tmp_path: Path) -> None:
    script = tmp_path / "slow.yaml"
    script.write_text(json.dumps({"turns": [
        {"say": "Write.", "calls": [{"tool": "fs_write", "arguments": {"path": "kept.txt", "content": "x\n"}}]},
        {"say": "Wait.", "calls": [{"tool": "sh_exec", "arguments": {"argv": ["sleep", "600"], "timeout_s": 700}}]},
    ]}))  # fmt: skip
    process = platform.start_run(project("inventory"), "Write, then wait.", model=f"scripted:{script}")
    assert process.stdout is not None
    lines: list[dict[str, object]] = []

    def waiting() -> bool:
        lines.append(json.loads(process.stdout.readline()))  # type: ignore[union-attr]
        return lines[-1]["type"] == "tool_call.requested" and "sh_exec" in str(lines[-1])

    wait_for(waiting, "the sleep")
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    last = json.loads(rest.splitlines()[-1])
    assert process.returncode == 130
    assert last["payload"]["status"] == "cancelled"
    assert "kept.txt" in last["payload"]["diff"]


@pytest.mark.requirement("apply:diff")
@pytest.mark.requirement("verify:attestation")
def test_the_results_can_be_used(platform: Platform, project: MakeProject, tmp_path: Path) -> None:
    repo = project("inventory")
    patch = tmp_path / "fix.diff"
    outcome = platform.run(repo, "Make the failing test pass.", "--patch-out", str(patch))
    run_id = outcome.last["run_id"]
    assert patch.read_text() == outcome.finished["diff"]
    assert platform.command("apply", run_id, "--repo", str(repo)).returncode == 0
    assert subprocess.run(["git", "diff", "--quiet"], cwd=repo, check=False).returncode == 1
    again = platform.command("apply", run_id, "--repo", str(repo))
    assert again.returncode == 2
    assert "does not apply" in again.stdout + again.stderr
    envelope = tmp_path / "attestation.json"
    envelope.write_text(json.dumps(outcome.finished["attestation"]))
    assert platform.command("verify", str(envelope)).returncode == 0
    payload = outcome.finished["attestation"]["payload"]
    changed = {
        **outcome.finished["attestation"],
        "payload": payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:],
    }
    envelope.write_text(json.dumps(changed))
    assert platform.command("verify", str(envelope)).returncode == 1
