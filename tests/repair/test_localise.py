from __future__ import annotations

from hypercode.repair.evidence import Evidence
from hypercode.repair.localise import by_causes, one_cause_each, suspiciousness


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


def test_tests_without_a_common_line_are_searched_file_by_file():
    coverage = {
        0: {("a.py", 1), ("a.py", 2)},
        1: {("a.py", 1), ("a.py", 2)},
        2: {("b.py", 7)},
        3: {("a.py", 2), ("b.py", 8)},
    }
    files = ["test_a.py", "test_a.py", "test_b.py", "test_b.py"]
    groups = one_cause_each(coverage, [0, 1, 2], files)
    assert groups == [{0, 1}, {2}]
    scores = by_causes(coverage, groups, Evidence())
    assert scores["b.py", 7] == scores["a.py", 1] == 1.0 > scores["a.py", 2]
    assert one_cause_each(coverage, [0, 1], files) == [{0, 1}]
