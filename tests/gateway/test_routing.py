"""The rule that chooses who takes a task first."""

import pytest

from hypercode.domain.task import RoutingChoice
from hypercode.gateway.routing import route

LIST = "Please:\n- add a login page\n- migrate the database\n- write the docs\n"
LONG_PLAN = "Plan the new billing system. " + "It must also handle refunds well. " * 20


@pytest.mark.parametrize(
    ("prompt", "choice", "model", "role", "routed_by"),
    [
        ("Fix the typo.", "auto", "openai:x", "coder", "rule: one goal"),
        ("Plan it.", "auto", "openai:x", "coder", "rule: one goal"),
        (LIST, "auto", "openai:x", "architect", "rule: 3 goals listed"),
        (LONG_PLAN, "auto", "openai:x", "architect", "rule: a long prompt that speaks of a plan"),
        ("word " * 400, "auto", "openai:x", "coder", "rule: one goal"),
        (LIST, "auto", "builtin/repair", "coder", "rule: builtin/repair makes no plans"),
        (LIST, "coder", "openai:x", "coder", "user"),
        ("Fix the typo.", "architect", "openai:x", "architect", "user"),
    ],
)
def test_route(prompt: str, choice: RoutingChoice, model: str, role: str, routed_by: str) -> None:
    chosen = route(prompt, choice, model)
    assert (chosen.role.value, chosen.routed_by) == (role, routed_by)
