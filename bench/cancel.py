"""From a cancel to the run's last event, and to the death of what it had started.

    python -m bench.cancel [--rounds 20]

Starts a platform of its own and a model that never answers by itself. The cancel is an HTTP request. "stopped": what went on was
stopped; "ended": the diff is kept and the last event written; both by the platform's clocks. Processes are looked for in /proc.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.behaviour.held_model import held_model
from tests.behaviour.person import first_admin
from tests.behaviour.platform import Platform, running, wait_for
from tests.behaviour.steered import Steered, alive

SLEEP = "60606060"
Begin = Callable[[Steered, str], None]


def in_model(steered: Steered, run_id: str) -> None:
    steered.model.next("Bench.")


def in_shell(steered: Steered, run_id: str) -> None:
    steered.model.next("Bench.").say("", ("sh_exec", {"script": f"sleep {SLEEP} & sleep {SLEEP}"}))
    wait_for(lambda: len(alive(f"sleep\0{SLEEP}")) >= 2, "the sleeps")


def while_parked(steered: Steered, run_id: str) -> None:
    steered.model.next("Bench.").say("", ("ask_user", {"question": "Which?"}))
    wait_for(
        lambda: steered.query("SELECT 1 FROM runs WHERE id = %s AND parked_at IS NOT NULL", run_id) != [],
        "the park",
    )


def in_queue(steered: Steered, run_id: str) -> None:
    """Nothing to wait for: the cancel races the worker."""


def once(steered: Steered, begin: Begin) -> dict[str, float]:
    run_id = steered.start("Bench.")
    begin(steered, run_id)
    began = time.monotonic()
    steered.tell(run_id, "cancel")
    died = None
    if begin is in_shell:
        wait_for(lambda: not alive(f"sleep\0{SLEEP}"), "the death of the sleeps")
        died = time.monotonic() - began
    wait_for(
        lambda: steered.query("SELECT 1 FROM runs WHERE id = %s AND ended_at IS NOT NULL", run_id) != [],
        "end",
    )
    ((stopped, ended),) = steered.query(
        "SELECT extract(epoch FROM at - cancel_requested_at), extract(epoch FROM ended_at - cancel_requested_at) "
        "FROM runs JOIN run_events ON run_id = id AND step_key IN ('stopped', 'finished') WHERE id = %s "
        "ORDER BY seq LIMIT 1",
        run_id,
    )
    times = {"stopped": float(stopped), "ended": float(ended)}
    return times if died is None else {**times, "processes dead": died}


def figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(ordered[len(ordered) // 2] * 1000, 1),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
        "worst_ms": round(ordered[-1] * 1000, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with (
        held_model() as (model, url),
        tempfile.TemporaryDirectory(prefix="hc-bench-", dir="/tmp", ignore_cleanup_errors=True) as directory,
    ):
        folder = Path(directory)
        folder.chmod(0o711)
        environment = {"HYPERCODE_LLM__BASE_URL": f"{url}/v1", "HYPERCODE_APPROVALS__HELD_S": "0.2"}
        with (
            running(Platform(folder / "d", environment=environment), ["--root", "/tmp"]) as live,
            first_admin(live) as person,
        ):
            steered = Steered(live, person, model, folder)
            for begin in (in_model, in_shell, while_parked, in_queue):
                took = [once(steered, begin) for _ in range(rounds)]
                print(json.dumps({begin.__name__: {key: figures([t[key] for t in took]) for key in took[0]}}))


if __name__ == "__main__":
    main()
