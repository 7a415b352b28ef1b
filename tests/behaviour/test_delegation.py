"""An Architect that plans and hands two items to Coders, through MCP, with real containers."""

import json
from pathlib import Path

import pytest
from tests.behaviour.platform import Platform

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

ADD = "def add(a, b):\n    return a - b\n"
DOUBLE = "def double(a):\n    return a * 3\n"
TESTS = "from adding import add\nfrom doubling import double\n\n\ndef test_add():\n    assert add(2, 3) == 5\n\n\ndef test_double():\n    assert double(4) == 8\n"


def fixing(path: str, old: str, new: str) -> list[dict[str, object]]:
    edit = {"path": path, "edits": [{"old": old, "new": new}]}
    return [
        {"say": "Fixing.", "calls": [{"tool": "fs_edit", "arguments": edit}]},
        {"say": f"{path} is right now."},
    ]


PLAN = {
    "summary": "Two faults in two files.",
    "items": [
        {"id": "adding", "title": "Add", "goal": "Make test_add pass in adding.py", "paths": ["adding.py"]},
        {
            "id": "doubling",
            "title": "Double",
            "goal": "Make test_double pass in doubling.py",
            "paths": ["doubling.py"],
        },
    ],
}
SCRIPT = {
    "runs": {
        "architect": {
            "turns": [
                {"say": "I read first.", "calls": [{"tool": "fs_read", "arguments": {"path": "adding.py"}}]},
                {
                    "say": "It may not write, and tries to.",
                    "calls": [{"tool": "fs_write", "arguments": {"path": "hacked.txt", "content": "x"}}],
                },
                {"say": "Two pieces.", "calls": [{"tool": "plan_submit", "arguments": PLAN}]},
                {
                    "say": "Each to a Coder.",
                    "calls": [
                        {"tool": "task_delegate", "arguments": {"item_id": "adding"}},
                        {"tool": "task_delegate", "arguments": {"item_id": "doubling"}},
                    ],
                },
                {"say": "Both pieces are in."},
            ]
        },
        "coder": [
            {"match": "adding.py", "turns": fixing("adding.py", "a - b", "a + b")},
            {"match": "doubling.py", "turns": fixing("doubling.py", "a * 3", "a * 2")},
        ],
    }
}


@pytest.mark.requirement("delegation:two-coders")
@pytest.mark.requirement("delegation:read-only")
def test_two_coders_work_and_their_changes_come_together(platform: Platform, tmp_path: Path) -> None:
    repo = tmp_path / "sums"
    repo.mkdir()
    (repo / "adding.py").write_text(ADD)
    (repo / "doubling.py").write_text(DOUBLE)
    (repo / "test_sums.py").write_text(TESTS)
    script = tmp_path / "architect.yaml"
    script.write_text(json.dumps(SCRIPT))
    outcome = platform.run(repo, "Make both tests pass.", "--plan", model=f"scripted:{script}")
    finished = outcome.finished
    assert (outcome.exit_code, finished["proof"]) == (0, "fixed"), outcome.lines[-5:]
    assert "+    return a + b" in finished["diff"]
    assert "+    return a * 2" in finished["diff"]
    assert "hacked.txt" not in finished["diff"]
    assert [len(plan["plan"]["items"]) for plan in outcome.of("plan.submitted")] == [2]
    items = [(item["item_id"], item["status"]) for item in outcome.of("plan_item.changed")]
    assert sorted(items) == [
        ("adding", "delegated"), ("adding", "merged"), ("doubling", "delegated"), ("doubling", "merged"),
    ]  # fmt: skip
    # It has no such tool, so the call never reached one.
    assert "fs_write" not in {call["tool"] for call in outcome.of("tool_call.completed") if call["ok"]}
