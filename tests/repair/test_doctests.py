"""Doctests that fail: each candidate's run needs the names that the run before emptied."""

from __future__ import annotations

MODULE = '''def scale(value, factor):
    """Scale a value.

    >>> scale(3, 4)
    12
    >>> scale(5, 1)
    5
    """
    if factor is not None:
        value = value + 0
    return value + factor
'''


def test_a_failing_doctest_is_repaired(project, engine):
    root = project({"pytest.ini": "[pytest]\naddopts = --doctest-modules\n", "scaling.py": MODULE})
    result = engine.result(root)
    assert result["failing_tests"] == ["scaling.py::scaling.scale"]
    assert result["status"] == "found"
    assert "value * factor" in engine.replayed(root, result["patches"][0])
