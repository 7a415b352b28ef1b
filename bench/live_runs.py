"""What a live run costs in memory: many runs in one worker, each in a call to a model that does not answer.

    python -m bench.live_runs [--runs 100]

Starts a platform of its own; each run has its workspace, its container and its connection to the tools. Memory is the
proportional set size, with all runs live less that with none; containers and their runners stand apart.
"""

import argparse
import json
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
from tests.behaviour.held_model import held_model
from tests.behaviour.person import first_admin
from tests.behaviour.platform import Platform, running, wait_for
from tests.behaviour.steered import Steered

from bench.platform import memory_mb

PROMPT = "Bench."


def containers_mb() -> float:
    """All that runs in this machine's containers, and the process that watches over each."""
    total = 0.0
    for shim in psutil.process_iter(["name"]):
        if not shim.info["name"].startswith("containerd-shim"):
            continue
        for process in (shim, *shim.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_full_info().pss / 1e6
    return total


def measure(runs: int) -> dict[str, object]:
    with (
        held_model() as (model, url),
        tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp", ignore_cleanup_errors=True) as directory,
    ):
        folder = Path(directory)
        folder.chmod(0o711)
        environment = {
            "HYPERCODE_LLM__BASE_URL": f"{url}/v1",
            "HYPERCODE_RUNS__PER_WORKER": str(runs + 1),
        }
        with (
            running(Platform(folder / "d", environment=environment), ["--root", "/tmp"]) as live,
            first_admin(live) as person,
        ):
            steered = Steered(live, person, model, folder)
            # The first run brings what every process loads once.
            first = steered.start(PROMPT)
            model.next(PROMPT).say("Done.")
            steered.ended(first)
            before, outside = memory_mb(live), containers_mb()
            began = time.monotonic()
            run_ids = [steered.start(PROMPT) for _ in range(runs)]
            asked = [model.next(PROMPT) for _ in range(runs)]
            took = time.monotonic() - began
            after = memory_mb(live)
            containers = containers_mb() - outside
            for each in asked:
                each.say("Done.")
            # A platform that stops leaves the containers of live runs, for whoever takes the runs up.
            for run_id in run_ids:
                wait_for(lambda: steered.get(f"/runs/{run_id}")["ended_at"] is not None, "the end", 300)  # noqa: B023
    grew = {name: round((after[name] - before.get(name, 0)) / runs, 2) for name in after}
    return {
        "live runs": runs,
        "seconds until all were live": round(took, 1),
        "MB a live run, by process": grew,
        "MB a live run, its container, runner and shim": round(containers / runs, 2),
        "MB in all before": before["sum"],
        "MB in all": after["sum"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100)
    print(json.dumps(measure(parser.parse_args().runs), indent=1))
