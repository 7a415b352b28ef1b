from __future__ import annotations

import os
import time
from pathlib import Path

from hypercode.repair.trial import Emitter, Limits, become_subreaper, limit_cpu, run_in_child

LIMITS = Limits(wall_s=20)


def test_records_come_back():
    outcome = run_in_child(lambda emit: emit({"n": 1}), LIMITS)
    assert (outcome.end, outcome.records) == ("done", [{"n": 1}])


def test_a_child_that_ends_itself():
    assert run_in_child(lambda emit: os._exit(0), LIMITS).end == "crash"


def test_an_endless_child_is_killed():
    def endless(emit: Emitter) -> None:
        while True:
            pass

    started = time.monotonic()
    assert run_in_child(endless, Limits(wall_s=0.3)).end == "timeout"
    assert time.monotonic() - started < 10


def test_cpu_limit():
    def endless(emit: Emitter) -> None:
        limit_cpu(0.1)
        while True:
            pass

    assert run_in_child(endless, LIMITS).end == "timeout"


def test_no_news_for_too_long():
    def silent(emit: Emitter) -> None:
        emit({"n": 1})
        while True:
            pass

    outcome = run_in_child(silent, Limits(wall_s=20, stall_s=0.3))
    assert (outcome.end, outcome.records) == ("stalled", [{"n": 1}])


def test_memory_is_limited():
    def greedy(emit: Emitter) -> None:
        held: list[bytearray] = []
        try:
            while True:
                held.append(bytearray(1 << 28))
        except MemoryError:
            held.clear()
        emit({"stopped": True})

    assert run_in_child(greedy, LIMITS).records == [{"stopped": True}]


def test_forked_children_say_nothing_and_are_ended():
    def forking(emit: Emitter) -> None:
        process = os.fork()
        if process == 0:
            os.setsid()
            limit_cpu(60)  # so that a failing test leaves nothing behind for long
            while True:
                pass
        emit({"child": process})

    become_subreaper()
    outcome = run_in_child(forking, LIMITS)
    assert outcome.end == "done"
    assert not Path(f"/proc/{outcome.records[0]['child']}").exists()
