"""The engine as a whole, on small real projects."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
ADULT = "def adult(age):\n    # eighteen counts\n    return age > 18\n"
TEST_ADULT = """from people import adult

def test_child():
    assert not adult(17)

def test_eighteen():
    assert adult(18)

def test_grown():
    assert adult(40)
"""


def test_finds_a_patch_and_keeps_comments(project, engine):
    root = project({"people.py": ADULT, "test_people.py": TEST_ADULT})
    result = engine.result(root)
    assert result["status"] == "found"
    assert result["failing_tests"] == ["test_people.py::test_eighteen"]
    texts = [engine.replayed(root, patch) for patch in result["patches"]]
    assert ADULT.replace(">", ">=") == texts[0]
    first = result["patches"][0]
    assert first["fixes"] == ["test_people.py::test_eighteen"]
    assert first["suite"] == {"passed": 3, "failed": 0}
    assert first["start_line"] == 3
    assert first["explanation"].endswith(".")


def test_the_diff_applies_with_git(project, engine):
    root = project({"people.py": ADULT, "test_people.py": TEST_ADULT})
    patch = engine.result(root)["patches"][0]
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    subprocess.run(["git", "apply"], cwd=root, input=patch["diff"], text=True, check=True)
    assert (root / "people.py").read_text("utf-8") == ADULT.replace(">", ">=")


def test_the_work_tree_is_not_written(project, engine):
    root = project({"people.py": ADULT, "test_people.py": TEST_ADULT})
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    engine.result(root)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_progress_comes_before_the_result(project, engine):
    root = project({"people.py": ADULT, "test_people.py": TEST_ADULT})
    records = engine.records(root)
    assert [record["type"] for record in records[:-1]] == ["progress"] * (len(records) - 1)
    phases = [record["phase"] for record in records[:-1]]
    assert phases[0] == "collect"
    assert {"localise", "search"} <= set(phases)
    assert records[-1]["type"] == "result"


def test_nothing_fails(project, engine):
    root = project({"people.py": ADULT.replace(">", ">="), "test_people.py": TEST_ADULT})
    result = engine.result(root)
    assert (result["status"], result["patches"]) == ("no_failing_test", [])
    assert "No test fails" in result["message"]


def test_no_tests_at_all(project, engine):
    result = engine.result(project({"people.py": ADULT}))
    assert result["status"] == "no_failing_test"
    assert "No tests were found" in result["message"]


@pytest.mark.parametrize(
    ("module", "words"),
    [("def broken(:\n", "SyntaxError"), ("import nowhere_to_be_found\n", "nowhere")],
)
def test_collect_error_names_file_and_error(project, engine, module: str, words: str):
    root = project({"people.py": module, "test_people.py": TEST_ADULT})
    result = engine.result(root)
    assert result["status"] == "collect_error"
    assert "test_people.py could not be collected (people.py:1)" in result["message"]
    assert words in result["message"]


def test_options_of_missing_plugins_are_left_out(project, engine):
    files = {"people.py": ADULT, "test_people.py": TEST_ADULT}
    root = project({**files, "pytest.ini": "[pytest]\naddopts = --no-such-plugin=1\n"})
    assert engine.result(root)["status"] == "found"


def test_only_named_tests_have_to_pass(project, engine):
    other = "\ndef test_impossible():\n    assert adult(1) is None\n"
    root = project({"people.py": ADULT, "test_people.py": TEST_ADULT + other})
    result = engine.result(root, "--test", "test_people.py::test_eighteen")
    assert result["status"] == "found"
    assert result["patches"][0]["suite"] == {"passed": 3, "failed": 1}


def test_only_matching_paths_are_changed(project, engine):
    root = project({"people.py": ADULT, "test_people.py": TEST_ADULT})
    result = engine.result(root, "--path", "elsewhere/*.py", budget_s=5)
    assert (result["status"], result["tried"]) == ("none", 0)


def test_unittest_style(project, engine):
    tests = """import unittest
from people import adult

class TestAdult(unittest.TestCase):
    def test_eighteen(self):
        self.assertTrue(adult(18))

    def test_child(self):
        self.assertFalse(adult(17))
"""
    result = engine.result(project({"people.py": ADULT, "test_people.py": tests}))
    assert result["failing_tests"] == ["test_people.py::TestAdult::test_eighteen"]
    assert result["status"] == "found"


def test_decorated_methods_and_late_imports(project, engine):
    module = """import functools

def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper

class Account:
    def __init__(self, balance):
        self.balance = balance

    @property
    def empty(self):
        return self.balance < 0

    @logged
    def can_pay(self, amount):
        return self.balance > amount
"""
    tests = """def test_all_of_it():
    from account import Account
    assert Account(5).can_pay(5)
    assert not Account(5).can_pay(6)

def test_some():
    from account import Account
    assert Account(5).can_pay(4)
"""
    result = engine.result(project({"account.py": module, "test_account.py": tests}))
    assert result["status"] == "found"
    assert "return self.balance >= amount" in result["patches"][0]["diff"]


def test_windows_line_ends_stay(project, engine):
    root = project({"people.py": ADULT.replace("\n", "\r\n"), "test_people.py": TEST_ADULT})
    patch = engine.result(root)["patches"][0]
    assert engine.replayed(root, patch) == ADULT.replace(">", ">=").replace("\n", "\r\n")


def test_modules_named_like_the_engines_own(project, engine):
    tests = TEST_ADULT.replace("people", "rank")
    result = engine.result(project({"rank.py": ADULT, "test_rank.py": tests}))
    assert result["status"] == "found"


def test_endless_tests_do_not_stop_the_engine(project, engine):
    module = """def count(limit):
    found = []
    n = 0
    while n < limit:
        found.append(n)
        n -= 1
        if len(found) > 50:
            found.clear()
    return found
"""
    tests = "from loops import count\n\ndef test_count():\n    assert count(3) == [0, 1, 2]\n"
    tests += "\ndef test_none():\n    assert count(0) == []\n"
    result = engine.result(project({"loops.py": module, "test_loops.py": tests}))
    assert result["status"] == "found"
    assert any("n += 1" in patch["diff"] for patch in result["patches"])


def test_code_that_ends_the_process_or_forks(project, engine):
    module = """import os

def leave(code):
    if code > 100:
        os.fork()
        os._exit(code)
    return code >= 0
"""
    tests = """from leaving import leave

def test_negative():
    assert leave(-1) is False

def test_zero():
    assert leave(0) is True

def test_large():
    assert leave(101) is True
"""
    result = engine.result(project({"leaving.py": module, "test_leaving.py": tests}), budget_s=15)
    assert result["failing_tests"] == ["test_leaving.py::test_large"]
    assert result["tried"] > 0


def test_options_are_checked(tmp_path: Path, engine):
    command = [sys.executable, str(engine.path), "--root", str(tmp_path / "missing")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "not a directory" in done.stderr


@pytest.mark.parametrize("name", ["inventory", "textkit", "scheduler"])
def test_examples_are_repaired(name: str, engine):
    result = engine.result(EXAMPLES / name)
    assert (result["status"], len(result["failing_tests"])) == ("found", 1)


def test_the_unfixable_example_is_not(engine):
    result = engine.result(EXAMPLES / "unfixable-ledger", budget_s=10)
    assert (result["status"], result["patches"]) == ("none", [])


def test_the_example_without_tests(engine):
    assert engine.result(EXAMPLES / "no-tests")["status"] == "no_failing_test"
