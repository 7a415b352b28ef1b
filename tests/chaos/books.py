"""What must hold of a run after everything around it was killed; each finding is a sentence, none is good."""

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tests.chaos.work import TURNS, mark


class Books:
    """Findings over the runs of one storm."""

    def __init__(self) -> None:
        self.repeated: list[str] = []
        self.streamed: list[str] = []
        self.doubled: list[str] = []
        self.silent: list[str] = []
        self.uncertain = 0
        self.failed: list[str] = []
        self.runs = 0
        self.turns = 0

    def enter(self, run_id: str, seen: list[dict[str, Any]], logged: list[dict[str, Any]], diff: str) -> None:
        """One run: what its viewer saw, what the log holds, and the diff that it left."""
        self.runs += 1
        self._stream(run_id, seen, logged)
        self._steps(run_id, logged)
        self._effects(run_id, logged, diff)

    def asked(self, asked: Iterable[dict[str, Any]], logged: dict[str, list[dict[str, Any]]]) -> None:
        """No model call is made once its turn was written down. ``logged`` is by the words that name a run's goal."""
        for request in asked:
            goal = re.search(r"Chaos \d{4}", request["key"])
            for event in logged.get(goal.group() if goal else "", []):
                done = event["type"] == "turn.completed" and event["payload"]["turn"] == request["turn"]
                if done and request["at"] > datetime.fromisoformat(event["at"]).timestamp():
                    self.repeated.append(f"{goal} asked for turn {request['turn']} after it was completed")

    def findings(self) -> list[str]:
        return [*self.repeated, *self.streamed, *self.doubled, *self.silent]

    def _stream(self, run_id: str, seen: list[dict[str, Any]], logged: list[dict[str, Any]]) -> None:
        seqs = [event["seq"] for event in logged]
        if seqs != list(range(1, len(logged) + 1)):
            self.streamed.append(f"{run_id}: the log has the seqs {seqs}")
        if [event["seq"] for event in seen] != seqs:
            self.streamed.append(f"{run_id}: seen {[event['seq'] for event in seen]}, logged {len(seqs)}")

    def _steps(self, run_id: str, logged: list[dict[str, Any]]) -> None:
        turns = Counter(e["payload"]["turn"] for e in logged if e["type"] == "turn.completed")
        self.turns += len(turns)
        calls = Counter(e["payload"]["call_id"] for e in logged if e["type"] == "tool_call.completed")
        for what, counted in (("turn", turns), ("call", calls)):
            self.repeated += [
                f"{run_id}: {what} {key} ended {n} times" for key, n in counted.items() if n > 1
            ]
        if logged and logged[-1]["type"] != "run.finished":
            self.silent.append(f"{run_id}: its last event is {logged[-1]['type']}")
        elif logged and (end := logged[-1]["payload"])["status"] == "failed":
            self.failed.append(f"{run_id} failed: {end['error_code']}: {end['error_message']}")

    def _effects(self, run_id: str, logged: list[dict[str, Any]], diff: str) -> None:
        ended = {e["payload"]["call_id"]: e["payload"] for e in logged if e["type"] == "tool_call.completed"}
        told = {e["payload"]["call_id"] for e in logged if e["type"] == "tool_call.uncertain"}
        self.uncertain += len(told)
        for n in range(TURNS):
            call = ended.get(f"{n + 1}.0")
            times = len(re.findall(rf"^\+{mark(n)}$", diff, re.MULTILINE))
            if times > 1:
                self.doubled.append(f"{run_id}: {mark(n)} stands {times} times")
            if call is None:
                continue
            if call["ok"] and times == 0:
                self.silent.append(f"{run_id}: {mark(n)} was answered OK and is not there")
            if not call["ok"] and times and call["call_id"] not in told:
                self.silent.append(f"{run_id}: {mark(n)} was answered {call['code']} and is there")
