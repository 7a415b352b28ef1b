"""Record the runs of tests/runs/recordings anew, with real containers: `make recordings`, or those that are named.

Needed when the loop, a prompt or an event was changed on purpose. Read the difference in the files before you commit it.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDINGS = ROOT / "tests" / "runs" / "recordings"
HYPERCODE = ROOT / ".venv" / "bin" / "hypercode"


@dataclass(frozen=True)
class Scenario:
    """A run to record; ``model`` None means the script beside the recording."""

    name: str
    example: str
    prompt: str
    model: str | None = None
    options: tuple[str, ...] = ()


SCENARIOS = (
    Scenario("repair", "inventory", "Make the failing test pass.", "builtin/repair"),
    Scenario("coder", "textkit", "Make the failing test pass.", options=("--approve", "never")),
    Scenario("circles", "textkit", "Make the failing test pass."),
    Scenario("limit", "textkit", "Make the failing test pass.", options=("--max-turns", "2")),
    Scenario("architect", "textkit", "Count words in lower case, and say so.", options=("--plan",)),
)


def main() -> None:
    # The path of a script, and of a folder that is imported, stand in a recording: not one of the machine that made it.
    with tempfile.TemporaryDirectory(prefix="hypercode-recordings-") as directory:
        for scenario in SCENARIOS:
            if sys.argv[1:] and scenario.name not in sys.argv[1:]:
                continue
            _record(scenario, Path(directory))


def _record(scenario: Scenario, directory: Path) -> None:
    repository = directory / scenario.example
    if not repository.exists():
        shutil.copytree(ROOT / "examples" / scenario.example, repository)
    script = directory / f"{scenario.name}.yaml"
    if scenario.model is None:
        shutil.copy(RECORDINGS / ("circles.yaml" if scenario.name == "limit" else script.name), script)
    model = scenario.model or f"scripted:{script}"
    task = _run(
        ["run", "--json", "--repo", str(repository), "--model", model, *scenario.options, scenario.prompt]
    )
    recording = RECORDINGS / f"{scenario.name}.jsonl"
    recording.unlink(missing_ok=True)
    subprocess.run([HYPERCODE, "task", "export", task, "--out", recording], check=True)


def _run(arguments: list[str]) -> str:
    """Run it, verified or not; return the task's id from its first event."""
    done = subprocess.run([HYPERCODE, *arguments], check=False, capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    queued = next((event for event in events if event["type"] == "run.queued"), None)
    if queued is None:
        sys.exit(f"{arguments}: {done.stderr}")
    return str(queued["payload"]["task_id"])


if __name__ == "__main__":
    main()
