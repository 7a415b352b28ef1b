"""builtin/repair against a small world that answers its tool calls as the real tools do."""

from typing import Any

import anyio
import pytest

from hypercode.llm.base import Message, ModelReply, ModelRequest, ToolSpec
from hypercode.llm.builtin import RepairModel
from hypercode.llm.repair_results import Patch, SearchResult, TestResult
from hypercode.llm.repair_words import nothing_found, repaired

pytestmark = pytest.mark.anyio

TOOLS = ("test_run", "repair_failing_test", "fs_edit", "fs_read")
SOURCE = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"
OLD = "def add(a, b):\n    return a - b\n"


def patch(new: str, why: str) -> dict[str, Any]:
    diff = (
        "--- a/calc.py\n+++ b/calc.py\n@@ -1,5 +1,5 @@\n def add(a, b):\n-    return a - b\n"
        f"+    return {new}\n \n \n def sub(a, b):\n"
    )
    edits = [{"path": "calc.py", "old": OLD, "new": f"def add(a, b):\n    return {new}\n"}]
    fixes = ["test_calc.py::test_add"]
    return {
        "path": "calc.py",
        "diff": diff,
        "edits": edits,
        "template": "operator",
        "score": 1.0,
        "explanation": why,
        "fixes": fixes,
        "suite": {"passed": 3, "failed": 0},
    }


class World:
    """One file, tests whose outcome depends on its text, and an engine that proposes what it is told to."""

    def __init__(self, patches: list[dict[str, Any]], *, green_when: str = "a + b") -> None:
        self.text = SOURCE
        self.patches = patches
        self.green_when = green_when
        self.messages = [Message(role="user", content="Fix add.")]
        self.called: list[str] = []

    async def play(self, *, tools: tuple[str, ...] = TOOLS) -> str:
        """Drive the model to its end and return its last words."""
        specs = [ToolSpec(name=name, description="", parameters={}) for name in tools]
        for turn in range(1, 30):
            request = ModelRequest(
                model="builtin/repair", messages=self.messages, tools=specs, run_key="r", turn=turn
            )
            with anyio.fail_after(5):
                reply = await RepairModel().complete(request)
            if not reply.calls:
                return reply.text
            self._answer(reply)
        raise AssertionError("the model does not end")

    def _answer(self, reply: ModelReply) -> None:
        self.messages.append(Message(role="assistant", content=reply.text, calls=reply.calls))
        for call in reply.calls:
            self.called.append(call.tool)
            failed, data = getattr(self, call.tool)(**call.arguments)
            answer = Message(role="tool", content=str(data), call_id=call.id, tool=call.tool)
            self.messages.append(answer.model_copy(update={"failed": failed, "data": data}))

    def test_run(self) -> tuple[bool, dict[str, Any]]:
        red = [] if self.green_when in self.text else [{"id": "test_calc.py::test_add", "message": "1 != 3"}]
        summary = {
            "passed": 3 - len(red),
            "failed": len(red),
            "errors": 0,
            "skipped": 0,
            "duration_s": 0.1,
        }
        return False, {"summary": summary, "exit_code": int(bool(red)), "failures": red, "junit": None}

    def repair_failing_test(self, budget_s: float, max_patches: int) -> tuple[bool, dict[str, Any]]:
        status = "found" if self.patches else "none"
        return False, {
            "status": status,
            "failing_tests": ["test_calc.py::test_add"],
            "tried": 84,
            "elapsed_s": 3.14,
            "patches": self.patches[:max_patches],
            "message": "",
        }

    def fs_edit(self, path: str, edits: list[dict[str, Any]]) -> tuple[bool, dict[str, Any]]:
        for edit in edits:
            if self.text.count(edit["old"]) != edit["expected_count"]:
                return True, {"code": "CONFLICT", "message": "the old text does not occur once"}
            self.text = self.text.replace(edit["old"], edit["new"])
        return False, {"path": path, "diff": "", "sha256": "", "applied": True}


async def test_it_applies_the_best_patch_and_says_how_sure_it_is() -> None:
    world = World(
        [patch("a + b", "In calc.py, line 2: + in place of -."), patch("a | b", "In calc.py: | for -.")]
    )
    words = await world.play()
    assert world.called == ["test_run", "repair_failing_test", "fs_edit", "test_run"]
    assert world.text == SOURCE.replace(OLD, "def add(a, b):\n    return a + b\n")
    assert "One small edit, found after 84 tried in 3.1 s" in words
    assert "the whole suite (3 passed)" in words
    assert "1 other edit that also passes" in words
    assert "+    return a | b" in words


async def test_a_patch_that_does_not_hold_is_taken_back_before_the_next() -> None:
    # The undo text of the first patch is not unique by itself: sub() has the same line.
    world = World([patch("a * b", "In calc.py: * for -."), patch("a + b", "In calc.py: + for -.")])
    words = await world.play()
    assert world.called.count("fs_edit") == 3
    assert world.text == SOURCE.replace(OLD, "def add(a, b):\n    return a + b\n")
    assert "+ for -" in words


async def test_when_no_patch_holds_the_work_tree_is_as_it_was() -> None:
    world = World([patch("a * b", "times")], green_when="never")
    words = await world.play()
    assert world.text == SOURCE
    assert "I found no fix. I tried 84 small edits in 3.1 s" in words


async def test_nothing_found_is_said_with_numbers() -> None:
    world = World([])
    words = await world.play()
    assert world.called == ["test_run", "repair_failing_test"]
    assert "84 small edits" in words
    assert "Nothing is changed" in words


async def test_without_a_failing_test_it_asks_for_one() -> None:
    world = World([], green_when="def")
    words = await world.play()
    assert world.called == ["test_run"]
    assert "All 3 tests pass" in words
    assert "I need a test that fails" in words


async def test_a_refused_edit_ends_the_repair_with_the_reason() -> None:
    bad = patch("a + b", "x")
    bad["edits"][0]["old"] = "not there"
    words = await World([bad]).play()
    assert "a tool failed" in words
    assert "CONFLICT" in words


async def test_without_its_tools_it_says_so() -> None:
    words = await World([]).play(tools=("fs_read",))
    assert "fs_edit, repair_failing_test, test_run" in words


async def test_a_search_without_candidates_does_not_claim_that_edits_were_tried() -> None:
    words = nothing_found(None, 0, 3.0, 2)
    assert "I tried nothing" in words
    assert "several edits" not in words


async def test_a_partial_fix_names_the_test_that_stays_red_and_why() -> None:
    red = "test_calc.py::Calc::test_old"
    note = (
        f"{red} fails by itself, whatever the product does (test_calc.py:9: AttributeError: no assertEquals)."
    )
    first = TestResult.model_validate(
        {"summary": {"passed": 1, "failed": 2}, "failures": [{"id": "test_calc.py::test_add"}, {"id": red}]}
    )
    last = TestResult.model_validate({"summary": {"passed": 2, "failed": 1}, "failures": [{"id": red}]})
    search = SearchResult(status="none", notes=[note, "test_calc.py::test_add is another."])
    kept = Patch.model_validate(patch("a + b", "In calc.py: + for -."))
    words = repaired([(kept, [])], first, last, search, 84, 3.0)
    assert "1 test that failed passes now, of 2" in words
    assert f"- {note}" in words
    assert "is another" not in words
    assert f'--check "python -m pytest --deselect {red}"' in words
    assert "whole suite" not in words
