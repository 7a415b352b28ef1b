"""The one decision: may this call be made under this grant? Pure: no clock, no I/O."""

from dataclasses import dataclass

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall
from hypercode.policy.globs import any_glob, folders_above
from hypercode.policy.rules import Effect, Policy, Rule


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
    """Decide a call: outside the grant's tools is denied, the rest is for the role's rules."""
    if grant.tools is not None and call.tool not in grant.tools:
        return Deny("grant.tools", f"the grant does not cover {call.tool}")
    return decide_for_role(call, grant.role, policy)


def decide_for_role(call: ToolCall, role: AgentRole, policy: Policy) -> Decision:
    """Decide by the rules alone: forbid, then ask, then allow, and else deny."""
    for rule in policy.rules_for(role, call.tool):
        if rule.matches(call.touched):
            return _verdict(rule)
    return Deny("default", f"no rule allows this call of {call.tool} for the role {role}")


def _verdict(rule: Rule) -> Decision:
    if rule.effect is Effect.FORBID:
        return Deny(rule.id, rule.reason or "a rule forbids this call")
    if rule.effect is Effect.ASK:
        return Ask(rule.id, rule.reason or "a person has to approve this call")
    return Allow(rule.id)


def never(tool: str, grant: Grant, policy: Policy) -> Deny | None:
    """Why no call of a tool could be allowed or asked about; None when some call could. ``tools/list`` shows those."""
    rules = policy.rules_for(grant.role, tool)
    always = [rule for rule in rules if not rule.conditions and rule.effect is Effect.FORBID]
    verdict = decide(ToolCall(tool), grant, policy)
    if isinstance(verdict, Deny) and (verdict.rule == "grant.tools" or always or _only_forbids(rules)):
        return verdict
    return None


def _only_forbids(rules: tuple[Rule, ...]) -> bool:
    return all(rule.effect is Effect.FORBID for rule in rules)


def protected_paths(policy: Policy, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the paths (relative to the repository) that the policy protects, in their order.

    A file or a symlink where a protected folder would lie is protected too: programs would follow it.
    """
    if not policy.protected:
        return ()
    pattern = any_glob(policy.protected, any_case=True)
    above = {folder.lower() for glob in policy.protected for folder in folders_above(glob)}

    def protects(path: str) -> bool:
        return any(map(pattern.fullmatch, (path, f"{path}/-"))) or path.lower() in above

    return tuple(path for path in paths if protects(path))
