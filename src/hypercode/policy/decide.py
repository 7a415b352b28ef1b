"""The one decision: may this call be made under this grant? Pure: no clock, no I/O."""

from dataclasses import dataclass

from hypercode.domain.grant import Grant
from hypercode.domain.tool_call import ToolCall
from hypercode.policy.rules import Effect, Policy, Rule, path_pattern


@dataclass(frozen=True)
class Allow:
    """The call may be made; ``rule`` is the id of the rule that says so."""

    rule: str
    effect = "allow"


@dataclass(frozen=True)
class Deny:
    """The call may not be made."""

    rule: str
    reason: str
    effect = "deny"


@dataclass(frozen=True)
class Ask:
    """A person has to approve the call first."""

    rule: str
    reason: str
    effect = "ask"


Decision = Allow | Deny | Ask


def decide(call: ToolCall, grant: Grant, policy: Policy) -> Decision:
    """Decide a call: outside the grant's tools is denied, then forbid, ask, allow, and else deny."""
    if grant.tools is not None and call.tool not in grant.tools:
        return Deny("grant.tools", f"the grant does not cover {call.tool}")
    found: dict[Effect, Rule] = {}
    for rule in policy.roles.get(grant.role, ()):
        if call.tool in rule.tools and _touches(rule, call.touched.paths):
            found.setdefault(rule.effect, rule)
    if rule := found.get(Effect.FORBID):
        return Deny(rule.id, "a rule forbids this call")
    if rule := found.get(Effect.ASK):
        return Ask(rule.id, "a person has to approve this call")
    if rule := found.get(Effect.ALLOW):
        return Allow(rule.id)
    return Deny("default", f"no rule allows {call.tool} for the role {grant.role}")


def _touches(rule: Rule, paths: tuple[str, ...]) -> bool:
    if rule.paths is None:
        return True
    return any(path_pattern(glob).fullmatch(path) for glob in rule.paths for path in paths)
