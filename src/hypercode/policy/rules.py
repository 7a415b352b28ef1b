"""The rules that hold: default deny, a forbid wins over an ask, an ask over an allow. Frozen, ready to be asked."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import Touched
from hypercode.policy.matchers import Matchers
from hypercode.policy.matching import Condition, conditions_of


class Effect(StrEnum):
    """What a rule does to the calls that it matches."""

    ALLOW = "allow"
    ASK = "ask"
    FORBID = "forbid"


STRONGEST_FIRST = (Effect.FORBID, Effect.ASK, Effect.ALLOW)


@dataclass(frozen=True)
class Rule:
    """Matches calls of these tools that match all of its matchers; ``reason`` is told to whoever is refused or asked."""

    id: str
    effect: Effect
    tools: frozenset[str]
    matchers: Matchers = field(default_factory=Matchers)
    reason: str = ""
    conditions: tuple[tuple[str, Condition], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        conditions = conditions_of(self.matchers, grants=self.effect is Effect.ALLOW)
        object.__setattr__(self, "conditions", conditions)

    def matches(self, touched: Touched) -> bool:
        """Whether every matcher matches; the tool is looked at elsewhere."""
        for _, holds in self.conditions:  # noqa: SIM110 - a loop is twice as fast, and this is asked most
            if not holds(touched):
                return False
        return True

    def plain(self) -> dict[str, Any]:
        """The rule as plain data, without what is not set."""
        said = {"reason": self.reason} if self.reason else {}
        return {
            "id": self.id,
            "effect": self.effect.value,
            **said,
            "tools": sorted(self.tools),
            **self.matchers.model_dump(mode="json", exclude_none=True),
        }


@dataclass(frozen=True)
class Policy:
    """The rules of each role; a role that is not named may do nothing.

    ``protected`` are globs of paths that need a person; ``groups`` are named sets of tools that a policy which extends
    this one may use. ``sha256`` names the content in every audit row.
    """

    name: str
    version: int
    roles: Mapping[AgentRole, tuple[Rule, ...]]
    protected: tuple[str, ...] = ()
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    sha256: str = field(init=False)
    _strongest_first: Mapping[tuple[AgentRole, str], tuple[Rule, ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        text = json.dumps(self.plain(), sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "sha256", hashlib.sha256(text.encode()).hexdigest())
        object.__setattr__(self, "_strongest_first", _strongest_first(self.roles))

    def rules_for(self, role: AgentRole, tool: str) -> tuple[Rule, ...]:
        """The role's rules that name a tool: forbids, then asks, then allows, each in the order of the policy."""
        return self._strongest_first.get((role, tool), ())

    @property
    def tools(self) -> frozenset[str]:
        """Every tool that a rule or a group names."""
        named = [rule.tools for rules in self.roles.values() for rule in rules]
        return frozenset[str]().union(*named, *self.groups.values())

    def plain(self) -> dict[str, Any]:
        """What decides, as plain data. Groups are left out: they stand in the rules."""
        return {
            "name": self.name,
            "version": self.version,
            "protected": list(self.protected),
            "roles": {role.value: [rule.plain() for rule in self.roles[role]] for role in sorted(self.roles)},
        }


def _strongest_first(
    roles: Mapping[AgentRole, tuple[Rule, ...]],
) -> dict[tuple[AgentRole, str], tuple[Rule, ...]]:
    found: dict[tuple[AgentRole, str], tuple[Rule, ...]] = {}
    for role, rules in roles.items():
        for effect in STRONGEST_FIRST:
            for rule in rules:
                for tool in rule.tools if rule.effect is effect else ():
                    found[role, tool] = (*found.get((role, tool), ()), rule)
    return found
