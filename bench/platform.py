"""Measures what docs/reference/benchmarks.md states: ``python -m bench.platform [--json]``.

Starts a platform of its own, drives it as a user would, and prints medians. The machine's own floor stands
beside each figure that has one, taken in the same run, because machines are noisy.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from tests.behaviour.platform import Platform, running

from bench.stream import first_event_ms, stream_rate

CALLS = 60
RUNS = 5
EXAMPLE = Path(__file__).parents[1] / "examples" / "inventory"


def median(values: list[float]) -> float:
    return round(statistics.median(values), 1)


@contextmanager
def live_platform() -> Iterator[tuple[Platform, float]]:
    """A platform in a fresh directory, and the seconds until it was ready."""
    with tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)
        shutil.copytree(EXAMPLE, Path(directory) / "project")
        started = time.monotonic()
        with running(Platform(Path(directory) / "d"), ["--root", directory]) as platform:
            yield platform, time.monotonic() - started


def memory_mb(platform: Platform) -> dict[str, float]:
    """Proportional set size by process: shared pages are split among those who share them."""
    state = json.loads((platform.data_dir / "run" / "supervisor.json").read_text())
    named = {name: psutil.Process(pid) for name, pid in state["children"].items()}
    supervisor = psutil.Process(state["pid"])
    named["supervisor"] = supervisor
    children = {child.pid for child in named.values()}
    for child in supervisor.children():
        if child.pid not in children:
            named["fork server"] = child
    sizes = {name: process.memory_full_info().pss / 1e6 for name, process in named.items()}
    postmaster = int((platform.data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(postmaster)
    sizes["postgres"] = sum(p.memory_full_info().pss for p in [server, *server.children()]) / 1e6
    return {name: round(size, 1) for name, size in sizes.items()} | {"sum": round(sum(sizes.values()), 1)}


def tool_calls(platform: Platform) -> dict[str, Any]:
    """Durations of tool calls from the worker through MCP into the container and back, in ms."""
    turns = [
        {"say": f"Call {n}.", "calls": [
            {"tool": "fs_read", "arguments": {"path": "pyproject.toml", "max_lines": 300 + n}},
            {"tool": "sh_exec", "arguments": {"argv": ["true"], "timeout_s": 60 + n}},
        ]}
        for n in range(CALLS)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "calls.yaml"
        script.write_text(json.dumps({"turns": turns}))
        outcome = platform.run(
            platform.data_dir.parent / "project", "Measure.", "--max-turns", "500", model=f"scripted:{script}"
        )
    done = outcome.of("tool_call.completed")
    by_tool = {
        tool: [call["duration_ms"] for call in done if call["tool"] == tool and call["ok"]][5:]
        for tool in ("fs_read", "sh_exec")
    }
    turns_ms = [float(event["duration_ms"]) for event in outcome.of("turn.completed")]
    return {f"{tool} median": median(values) for tool, values in by_tool.items()} | {
        "model call of the script": median(turns_ms),
        "calls": len(by_tool["fs_read"]),
        "elapsed_s a turn": round(outcome.finished["elapsed_s"] / CALLS, 3),
    }


def docker_floor_ms() -> dict[str, float]:
    """The engine's own price, through its command line: a container started, a command in one that runs."""

    def timed(*arguments: str) -> float:
        started = time.perf_counter()
        subprocess.run(["docker", *arguments], check=True, capture_output=True)
        return (time.perf_counter() - started) * 1000

    runs = [timed("run", "--rm", "--network", "none", "python:3.13-slim", "true") for _ in range(RUNS)]
    name = f"hc-bench-{os.getpid()}"
    subprocess.run(
        ["docker", "run", "-d", "--rm", "--name", name, "python:3.13-slim", "sleep", "600"],
        check=True, capture_output=True,
    )  # fmt: skip
    try:
        execs = [timed("exec", name, "true") for _ in range(RUNS * 2)]
    finally:
        subprocess.run(["docker", "kill", name], check=False, capture_output=True)
    return {"docker run": median(runs), "docker exec": median(execs)}


def sandbox_starts(platform: Platform) -> dict[str, float]:
    """Phases of a sandbox's start over a few runs, and the whole main job."""
    phases: dict[str, list[float]] = {}
    elapsed: list[float] = []
    for _ in range(RUNS):
        outcome = platform.run(platform.data_dir.parent / "project", "Make the failing test pass.")
        assert outcome.finished["proof"] == "fixed", outcome.last
        elapsed.append(outcome.finished["elapsed_s"])
        for name, value in outcome.of("sandbox.started")[0]["phases_ms"].items():
            phases.setdefault(name, []).append(value)
    whole = [sum(values) for values in zip(*phases.values(), strict=True)]
    return {name: median(values) for name, values in phases.items()} | {
        "sum": median(whole),
        "main job, seconds": median(elapsed),
    }


def installation() -> dict[str, float]:
    """Size and time of an installation without extras, from a warm package cache."""
    root = Path(__file__).parents[1]
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": f"{directory}/venv", "UV_LINK_MODE": "copy"}
        started = time.monotonic()
        subprocess.run(
            [shutil.which("uv") or ".tools/bin/uv", "sync", "--frozen", "--no-dev", "--quiet", "--no-editable"],
            cwd=root, env=environment, check=True,
        )  # fmt: skip
        seconds = time.monotonic() - started
        size = sum(path.lstat().st_size for path in Path(directory).rglob("*") if path.is_file())
    return {"MB": round(size / 1e6), "seconds": round(seconds, 1)}


def measure() -> dict[str, Any]:
    with live_platform() as (platform, ready_s):
        figures: dict[str, Any] = {
            "ready, seconds": round(ready_s, 1),
            "memory idle, MB PSS": memory_mb(platform),
            "floor, ms": docker_floor_ms(),
            "sandbox start, ms": sandbox_starts(platform),
            "tool call, ms": tool_calls(platform),
            "first event in the browser, ms": first_event_ms(platform, RUNS),
            "events": asyncio.run(stream_rate(platform)),
            "memory after, MB PSS": memory_mb(platform),
        }
    return figures | {"installation": installation(), "load at the end": os.getloadavg()[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure()
    if options.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    for name, value in figures.items():
        print(name)
        for row, figure in value.items() if isinstance(value, dict) else [("", value)]:
            print(f"  {row:28} {figure}")


if __name__ == "__main__":
    main()
