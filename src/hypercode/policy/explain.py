"""What was looked at on the way to a decision, rule by rule; and decisions held against a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall
from hypercode.policy.decide import Decision, decide_for_role
from hypercode.policy.form import CaseForm
from hypercode.policy.rules import Effect, Policy


@dataclass(frozen=True)
class Look:
    """One rule: whether it names the tool, and which of its matchers match."""

    rule: str
    effect: Effect
    names_tool: bool
    matchers: dict[str, bool]

    @property
    def matches(self) -> bool:
        """Whether the rule matches the call."""
        return self.names_tool and all(self.matchers.values())


@dataclass(frozen=True)
class Explanation:
    """A decision, and every rule of the role, in the order of the policy."""

    decision: Decision
    looks: tuple[Look, ...]


@dataclass(frozen=True)
class CaseResult:
    """A row of a table, and what the policy says to it."""

    case: CaseForm
    decision: Decision

    @property
    def ok(self) -> bool:
        """Whether the policy says what the row expects."""
        return self.decision.effect == self.case.expect and self.case.rule in (None, self.decision.rule)


def explain(call: ToolCall, role: AgentRole, policy: Policy) -> Explanation:
    """Decide a call, and say how every rule of the role looks at it."""
    looks = tuple(
        Look(
            rule.id,
            rule.effect,
            call.tool in rule.tools,
            {name: test(call.touched) for name, test in rule.conditions},
        )
        for rule in policy.roles.get(role, ())
    )
    return Explanation(decide_for_role(call, role, policy), looks)


def run_cases(cases: Sequence[CaseForm], policy: Policy) -> list[CaseResult]:
    """Decide every row of a table."""
    return [CaseResult(case, decide_for_role(case.call(), case.role, policy)) for case in cases]
