from __future__ import annotations

from hypercode.repair.evidence import Evidence
from hypercode.repair.localise import suspiciousness


def test_lines_only_failing_tests_run_come_first():
    coverage = {0: {("a.py", 1), ("a.py", 2)}, 1: {("a.py", 1)}, 2: {("a.py", 1), ("a.py", 3)}}
    scores = suspiciousness(coverage, {0}, Evidence())
    assert scores[("a.py", 2)] == 1.0
    assert 0 < scores[("a.py", 1)] < 1
    assert ("a.py", 3) not in scores


def test_the_line_an_error_came_from_comes_first():
    coverage = {0: {("a.py", 1), ("a.py", 2)}}
    scores = suspiciousness(coverage, {0}, Evidence(crashes={("a.py", 2): 1.0}))
    assert scores[("a.py", 2)] > scores[("a.py", 1)]
