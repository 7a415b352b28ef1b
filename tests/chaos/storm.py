"""Kills at random moments, one after another, each with the time until every run was at work again."""

import os
import random
import signal
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from tests.behaviour.platform import wait_for
from tests.chaos.cluster import Cluster
from tests.chaos.work import TURNS, Team

WEIGHTS = {
    "gateway": 6, "worker": 8, "worker for good": 1, "tools": 8, "sandboxd": 6, "verifier": 2, "sandbox": 2,
    "postgres": 4, "redis": 4, "engine": 1,
}  # fmt: skip
LIVE_AT_ONCE = 4
RECOVERY_LIMIT_S = 60.0
BUSY_WITHIN_S = 180.0


@dataclass
class Storm:
    """Rounds of kills over a cluster at work. ``recovered`` has seconds by what was killed."""

    cluster: Cluster
    team: Team
    random: random.Random
    recovered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    struck: set[str] = field(default_factory=set)
    handed_in: int = 0

    def rage(self, rounds: int, victims: list[str]) -> None:
        weights = [WEIGHTS[victim] for victim in victims]
        for _ in range(rounds):
            at_work = self._busy()
            time.sleep(self.random.uniform(0.0, 0.6))
            victim = self.random.choices(victims, weights)[0]
            killed_at = time.time()
            self._kill(victim)
            self._until_all_go_on(at_work, killed_at, victim)
            self.recovered[victim].append(time.time() - killed_at)
            for part in self.cluster.parts.values():
                part.held_down = False

    def _keep_busy(self) -> None:
        while len(self.team.live()) < LIVE_AT_ONCE:
            self.handed_in += 1
            self.team.hand_in(self.handed_in)

    def _busy(self) -> list[str]:
        """Hand in what is missing until half of what is live is at work: runs end while others are being prepared."""

        def enough() -> bool:
            self._keep_busy()
            return len(self._at_work()) >= LIVE_AT_ONCE // 2

        wait_for(enough, "work", BUSY_WITHIN_S)
        return self._at_work()

    def _at_work(self) -> list[str]:
        """Runs between their first turn and their last: those that would show something within a second."""
        turns = {
            run_id: sum(event["type"] == "turn.completed" for event in self.team.viewers[run_id].events)
            for run_id in self.team.live()
        }
        return [run_id for run_id, done in turns.items() if 0 < done < TURNS]

    def _until_all_go_on(self, run_ids: list[str], killed_at: float, victim: str) -> None:
        waiting = set(run_ids)
        while waiting:
            waiting = {run_id for run_id in waiting if not self._goes_on(run_id, killed_at)}
            late = time.time() - killed_at > RECOVERY_LIMIT_S
            assert not late, f"{victim} was killed, and these stand still:\n{self.cluster.state_of(waiting)}"
            time.sleep(0.01)

    def _goes_on(self, run_id: str, killed_at: float) -> bool:
        viewer = self.team.viewers[run_id]
        newest = viewer.events[-1] if viewer.events else None
        later = newest is not None and datetime.fromisoformat(newest["at"]).timestamp() > killed_at
        return viewer.over.is_set() or later

    def _kill(self, victim: str) -> None:
        cluster = self.cluster
        match victim:
            case "postgres":
                cluster.kill_postgres()
            case "redis":
                cluster.redis.kill()
                cluster.redis.start()
            case "engine":
                cluster.engine.kill()
                cluster.engine.start()
            case "sandbox":
                self._kill_sandbox()
            case _:
                names = [name for name in cluster.parts if name.partition("-")[0] == victim.partition(" ")[0]]
                part = cluster.parts[self.random.choice(names)]
                part.held_down = victim == "worker for good"
                if not part.dead:
                    part.signal(signal.SIGKILL)

    def _kill_sandbox(self) -> None:
        """The first process of one agent's container, as the kernel does when memory is short."""
        names = self.cluster.engine.docker("ps", "--format", "{{.Names}}").stdout.split()
        agents = [name for name in names if "agent" in name]
        if not agents:
            return
        name = self.random.choice(sorted(agents))
        pid = int(self.cluster.engine.docker("inspect", "-f", "{{.State.Pid}}", name).stdout or 0)
        if pid:
            os.kill(pid, signal.SIGKILL)
