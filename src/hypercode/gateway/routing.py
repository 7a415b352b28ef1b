"""Who takes a task first: a rule that can be read, recorded with the task. Pure."""

import re
from dataclasses import dataclass

from hypercode.domain.model import BUILTIN_REPAIR
from hypercode.domain.role import AgentRole
from hypercode.domain.task import RoutingChoice

LONG_PROMPT = 600
GOALS_FOR_A_PLAN = 3
PLAN_WORDS = re.compile(
    r"\b(plan|design|architect\w*|refactor\w*|migrat\w*|roadmap|rewrite|redesign|step by step)\b",
    re.IGNORECASE,
)
LIST_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+\S", re.MULTILINE)


@dataclass(frozen=True)
class Route:
    """The role, and in words who or what chose it."""

    role: AgentRole
    routed_by: str


def route(prompt: str, choice: RoutingChoice, model: str) -> Route:
    """Choose the first role: the person's choice, else the Architect for work that needs a plan."""
    if choice != "auto":
        return Route(AgentRole(choice), "user")
    if model == BUILTIN_REPAIR:
        return Route(AgentRole.CODER, "rule: builtin/repair makes no plans")
    goals = len(LIST_ITEM.findall(prompt))
    if goals >= GOALS_FOR_A_PLAN:
        return Route(AgentRole.ARCHITECT, f"rule: {goals} goals listed")
    if len(prompt) >= LONG_PROMPT and PLAN_WORDS.search(prompt):
        return Route(AgentRole.ARCHITECT, "rule: a long prompt that speaks of a plan")
    return Route(AgentRole.CODER, "rule: one goal")
