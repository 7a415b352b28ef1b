"""The manifest and the tests name each other."""

import ast
from pathlib import Path

from tests.behaviour.requirements import REQUIREMENTS


def marked_ids() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not function.name.startswith("test_") or path.name == "test_requirements.py":
                continue
            found[f"{path.name}::{function.name}"] = [
                argument.value
                for mark in function.decorator_list
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.requirement"
                for argument in mark.args
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            ]
    return found


def test_every_promise_is_held_by_a_test() -> None:
    held = {id_ for ids in marked_ids().values() for id_ in ids}
    assert sorted(set(REQUIREMENTS) - held) == []


def test_every_behaviour_test_holds_a_promise() -> None:
    marked = marked_ids()
    assert sorted(name for name, ids in marked.items() if not ids) == []
    assert sorted(id_ for ids in marked.values() for id_ in ids if id_ not in REQUIREMENTS) == []
