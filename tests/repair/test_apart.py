"""Failing tests of different causes: the product's fault is mended, and what else is red is told apart."""

from __future__ import annotations

PEOPLE = "def adult(age):\n    return age > 18\n\n\ndef name(person):\n    return person.title()\n"
LEGACY = """import unittest
from people import adult, name

class TestPeople(unittest.TestCase):
    def test_child(self):
        self.assertFalse(adult(17))

    def test_eighteen(self):
        self.assertTrue(adult(18))

    def test_grown(self):
        self.assertTrue(adult(19))
        self.assertEqualz(name("ann"), "Ann")
"""
OWN_PROCESS = """import subprocess, sys

def test_script():
    command = [sys.executable, "-c", "import people; assert people.adult(18)"]
    assert subprocess.run(command, check=False).returncode == 0
"""


def test_a_test_that_fails_by_itself_is_no_goal(project, engine):
    result = engine.result(project({"people.py": PEOPLE, "test_people.py": LEGACY}))
    assert result["status"] == "found"
    # Leaving the call of `name` out, or raising before it, is no fix of the test that lacks a method.
    assert all(patch["fixes"] == ["test_people.py::TestPeople::test_eighteen"] for patch in result["patches"])
    assert "age >= 18" in result["patches"][0]["diff"]
    assert result["patches"][0]["suite"] == {"passed": 2, "failed": 1}
    (note,) = result["notes"]
    assert note.startswith("test_people.py::TestPeople::test_grown fails by itself")
    assert "test_people.py:13: AttributeError" in note


def test_only_tests_that_fail_by_themselves(project, engine):
    fixed = PEOPLE.replace(">", ">=")
    result = engine.result(project({"people.py": fixed, "test_people.py": LEGACY}))
    assert (result["status"], result["tried"], result["patches"]) == ("none", 0, [])
    assert "fails by itself" in result["notes"][0]


def test_code_run_in_another_process_does_not_hide_the_fix(project, engine):
    tests = "from people import adult\n\ndef test_eighteen():\n    assert adult(18)\n\n"
    tests += "def test_child():\n    assert not adult(17)\n"
    files = {"people.py": PEOPLE, "test_people.py": tests, "test_script.py": OWN_PROCESS}
    result = engine.result(project(files), budget_s=12)
    assert "age >= 18" in result["patches"][0]["diff"]
    assert result["patches"][0]["fixes"] == ["test_people.py::test_eighteen"]
    assert "runs none of the project's own lines" in result["notes"][0]


def test_the_last_resort_is_an_edit_for_some(project, engine):
    """Two failing tests run the same function; no edit turns both green."""
    tests = "from people import adult\n\ndef test_eighteen():\n    assert adult(18)\n\n"
    tests += "def test_words():\n    assert adult(19) == 'yes, of the age of nineteen'\n\n"
    tests += (
        "def test_child():\n    assert not adult(17)\n\ndef test_grown():\n    assert adult(19) is True\n"
    )
    result = engine.result(project({"people.py": PEOPLE, "test_people.py": tests}), budget_s=12)
    assert "age >= 18" in result["patches"][0]["diff"]
    assert result["patches"][0]["fixes"] == ["test_people.py::test_eighteen"]
    assert "some of the 2 failing tests" in result["message"]
