"""What a turn costs: one scripted model call and one tool call in a real container, over several runs at once.

    python -m bench.turns [--runs 6] [--turns 60] [--json]

Hands the tasks to a platform of its own over HTTP and looks at the events afterwards. Turns a second are counted while
all runs are at work; processor time is that of all the platform's processes, Postgres included, in that time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from tests.behaviour.person import Person, first_admin
from tests.behaviour.platform import Platform, wait_for

from bench.platform import live_platform

READY_TURNS = 3


def write_script(path: Path, turns: int) -> None:
    calls = [
        {
            "say": f"Read {n}.",
            "calls": [{"tool": "fs_read", "arguments": {"path": "f.txt", "max_lines": 10 + n}}],
        }
        for n in range(turns)
    ]
    path.write_text(json.dumps({"turns": calls}))


def folder(parent: Path) -> Path:
    made = parent / "bench"
    made.mkdir()
    (made / "f.txt").write_text("line\n" * 200)
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        subprocess.run(
            ["git", "-c", "user.name=B", "-c", "user.email=b@example.org", *command], cwd=made, check=True
        )
    return made


def cpu_seconds(platform: Platform) -> dict[str, float]:
    """Processor seconds so far of each process of the platform, with what it started; Postgres is one of them."""
    state = json.loads((platform.data_dir / "run" / "supervisor.json").read_text())
    roots = {"supervisor": state["pid"], **state["children"]}
    roots["postgres"] = int(
        (platform.data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0]
    )
    return {name: _used(psutil.Process(pid), set(roots.values()) - {pid}) for name, pid in roots.items()}


def _used(process: psutil.Process, others: set[int]) -> float:
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        if each.pid not in others:
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system
    return total


def turns_done(url: str, run_ids: list[str]) -> list[int]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT r.id, count(e.*) FROM unnest(%s::text[]) AS r(id) LEFT JOIN run_events e "
            "ON e.run_id = r.id AND e.type = 'turn.completed' GROUP BY r.id", [run_ids],
        ).fetchall()  # fmt: skip
    return [count for _, count in rows]


def hand_in(person: Person, project: str, script: Path, runs: int) -> list[str]:
    body = {
        "project_id": project, "model": f"scripted:{script}", "routing": "coder", "checks": ["true"],
        "budget": {"max_turns": 5000},
    }  # fmt: skip
    return [person.post("/tasks", {**body, "prompt": f"Read {n}."})["run_id"] for n in range(runs)]


@contextmanager
def scripted_runs(runs: int, turns: int) -> Iterator[tuple[Platform, str, list[str]]]:
    """A platform with runs of that many turns handed in, the address of its database, and their ids."""
    with live_platform() as (platform, _), tempfile.TemporaryDirectory(dir="/tmp") as directory:
        script = Path(directory) / "turns.json"
        write_script(script, turns)
        url = json.loads((platform.data_dir / "run" / "supervisor.json").read_text())["database_url"]
        with first_admin(platform) as person:
            source = {
                "name": "turns",
                "source_kind": "local_path",
                "source": str(folder(platform.data_dir.parent)),
            }
            project = person.post("/projects", source)["id"]
            yield platform, url, hand_in(person, project, script, runs)


def measure(runs: int, turns: int) -> dict[str, Any]:
    with scripted_runs(runs, turns) as (platform, url, run_ids):
        wait_for(lambda: min(turns_done(url, run_ids)) >= READY_TURNS, "the first turns", 300)
        began, cpu, done = time.monotonic(), cpu_seconds(platform), sum(turns_done(url, run_ids))
        wait_for(lambda: max(turns_done(url, run_ids)) >= turns, "the last turn", 600)
        seconds, more = time.monotonic() - began, sum(turns_done(url, run_ids)) - done
        used = {name: after - cpu[name] for name, after in cpu_seconds(platform).items()}
    return {
        "runs at once": runs,
        "turns a second": round(more / seconds, 1),
        "CPU a turn, ms": round(sum(used.values()) / more * 1000, 1),
        "by process": {name: round(each / more * 1000, 1) for name, each in used.items()},
        "turns counted": more,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(options.runs, options.turns)
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    for name, value in figures.items():
        print(f"{name:20} {value}")


if __name__ == "__main__":
    main()
