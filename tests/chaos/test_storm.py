"""The promises under a storm: kill -9 over every part of the platform, and exact books afterwards."""

import os
import random
import secrets
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.behaviour.model_server import model_server
from tests.chaos.books import Books
from tests.chaos.cluster import running_cluster
from tests.chaos.storm import WEIGHTS, Storm
from tests.chaos.work import Team, write_script

ROUNDS = int(os.environ.get("HYPERCODE_KILL_ROUNDS", "4"))
SEED = int(os.environ.get("HYPERCODE_KILL_SEED") or secrets.randbits(32))
VICTIMS = os.environ.get("HYPERCODE_KILL_VICTIMS", ",".join(WEIGHTS)).split(",")

pytestmark = [pytest.mark.docker, pytest.mark.timeout(0)]


def repository(home: Path) -> Path:
    project = home / "project"
    project.mkdir()
    (project / "README.md").write_text("Marks\n")
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        subprocess.run(
            ["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *command], cwd=project, check=True
        )
    return project


@pytest.mark.promise(1, 2, 3, 4, 10, 11)
def test_nothing_is_lost_repeated_or_silent_whatever_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    print(f"\nseed {SEED}, {ROUNDS} kills")
    with tempfile.TemporaryDirectory(prefix="hc-chaos-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        write_script(home / "marks.yaml")
        with (
            model_server(home / "marks.yaml") as model_url,
            running_cluster(home, model_url, tmp_path) as cluster,
        ):
            team = Team(cluster, repository(home))
            storm = Storm(cluster, team, random.Random(SEED))
            storm.rage(ROUNDS, VICTIMS)
            team.until_done(240)
            books, logged = Books(), {}
            for run_id, viewer in team.viewers.items():
                events = team.events(run_id)
                logged[team.goal(run_id)] = events
                books.enter(run_id, viewer.events, events, team.diff(run_id))
            books.asked(team.asked(model_url), logged)
    record_property("recovered_s", dict(storm.recovered))
    record_property(
        "counted",
        f"Storm, seed {SEED}: {sum(map(len, storm.recovered.values()))} kills over {books.runs} runs of {books.turns} turns in all, "
        f"{len(books.repeated)} finished steps repeated, {len(books.streamed)} events lost or doubled, "
        f"{len(books.doubled)} tool effects doubled, {len(books.silent)} silent, {books.uncertain} calls told as uncertain, "
        f"{len(books.failed)} runs that failed, each with its reason; "
        f"{sum(viewer.reconnects - 1 for viewer in team.viewers.values())} ways of viewers over two gateways were cut.",
    )
    for victim, seconds in sorted(storm.recovered.items()):
        ordered = sorted(seconds)
        print(f"{victim:15} {len(ordered):4} kills, at work again after {ordered[len(ordered) // 2]:.1f} s median, "
              f"{ordered[-1]:.1f} s at most")  # fmt: skip
    assert books.findings() == [], "\n".join([*books.findings(), *books.failed])
