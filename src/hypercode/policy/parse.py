"""From the text of a policy to the policy. Every refusal names the line and the field."""

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationError

from hypercode.domain.errors import InvalidPolicy
from hypercode.domain.role import AgentRole
from hypercode.policy.form import LOCK_FILES, CaseForm, PolicyForm, RuleForm, TableForm
from hypercode.policy.matchers import Form, Matchers
from hypercode.policy.rules import Policy, Rule
from hypercode.policy.yaml_text import Place, YamlFault, read_yaml

SHOWN = 5
FOREIGN = "ext_"
"""Tools of other servers will have names that begin so; nobody can know them beforehand."""

WORDS = {
    "extra_forbidden": "there is no such field",
    "missing": "it is missing",
    "too_short": "it is empty",
}
"""Our words for what pydantic says less plainly."""

FormT = TypeVar("FormT", bound=Form)


def parse_policy(text: str, source: str, built_in: Policy | None) -> tuple[Policy, tuple[CaseForm, ...]]:
    """Read a policy and its test table; raises InvalidPolicy.

    ``source`` is what messages call the text. ``built_in`` is what it may extend, and knows the names of all tools;
    None reads the built-in policy itself.
    """
    form, lines = _read(PolicyForm, text, source)
    faults = [*_faults(form, built_in)]
    if faults:
        raise _invalid(source, lines, faults)
    return _built(form, built_in), form.tests


def parse_tests(text: str, source: str) -> tuple[CaseForm, ...]:
    """Read a test table from a file of its own; raises InvalidPolicy."""
    return _read(TableForm, text, source)[0].tests


def _read(form: type[FormT], text: str, source: str) -> tuple[FormT, dict[Place, int]]:
    try:
        value, lines = read_yaml(text)
    except YamlFault as fault:
        raise _invalid(source, {(): fault.line}, [((), fault.message)]) from None
    try:
        return form.model_validate_json(json.dumps(value)), lines
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [(_place(each["loc"]), _words(each["type"], each["msg"])) for each in problems]
        raise _invalid(source, lines, faults) from None


def _words(kind: str, message: str) -> str:
    return WORDS.get(kind, message.removeprefix("Value error, "))


def _place(loc: tuple[str | int, ...]) -> Place:
    return tuple(part for part in loc if part != "[key]")


def _invalid(source: str, lines: Mapping[Place, int], faults: list[tuple[Place, str]]) -> InvalidPolicy:
    faults.sort(key=lambda fault: _line(lines, fault[0]))
    told = [_told(lines, place, message) for place, message in faults[:SHOWN]]
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return InvalidPolicy(
        f"{source}: {'; '.join(told)}{more}",
        hint="docs/reference/policy.md describes the form; `hypercode policy schema` prints it.",
    )


def _told(lines: Mapping[Place, int], place: Place, message: str) -> str:
    field = ".".join(map(str, place))
    return f"line {_line(lines, place)}: {field + ': ' if field else ''}{message}"


def _line(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a place, or of the nearest part around it that stands in the text."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _faults(form: PolicyForm, built_in: Policy | None) -> Iterator[tuple[Place, str]]:
    """What a single field can't know."""
    base = built_in if form.extends else None
    known = built_in.tools if built_in else None
    for name, tools in form.groups.items():
        if base and name in base.groups:
            yield ("groups", name), "the built-in policy has a group of this name: choose another"
        yield from _unknown(("groups", name), tools, known)
    seen = {rule.id for rules in base.roles.values() for rule in rules} if base else set[str]()
    for role, rules in form.roles.items():
        for number, rule in enumerate(rules):
            place = ("roles", role.value, number)
            if rule.id in seen:
                yield (*place, "id"), f"{rule.id!r} is taken: ids are told apart in the audit"
            seen.add(rule.id)
            yield from _unknown((*place, "tools"), rule.tools or (), known)
            for name in rule.groups or ():
                if name not in form.groups and not (base and name in base.groups):
                    yield (*place, "groups"), f"there is no group {name!r}"
            if rule.protected and not _protected(form, base):
                yield (*place, "protected"), "the policy protects no paths"


def _unknown(
    place: Place, tools: tuple[str, ...], known: frozenset[str] | None
) -> Iterator[tuple[Place, str]]:
    """A rule about a tool that is not there would hold nothing back."""
    for tool in tools:
        if known is not None and tool not in known and not tool.startswith(FOREIGN):
            near = difflib.get_close_matches(tool, known, n=1)
            yield place, f"there is no tool {tool!r}" + (f": did you mean {near[0]!r}?" if near else "")


def _protected(form: PolicyForm, base: Policy | None) -> tuple[str, ...]:
    lock_files = LOCK_FILES if form.protect_lock_files else ()
    return tuple(dict.fromkeys((*(base.protected if base else ()), *form.protected, *lock_files)))


def _built(form: PolicyForm, built_in: Policy | None) -> Policy:
    base = built_in if form.extends else None
    groups = {
        **(base.groups if base else {}),
        **{name: frozenset(tools) for name, tools in form.groups.items()},
    }
    protected = _protected(form, base)
    roles: dict[AgentRole, tuple[Rule, ...]] = dict(base.roles) if base else {}
    if base and protected != base.protected:
        roles = {
            role: tuple(_widened(rule, base, protected) for rule in rules) for role, rules in roles.items()
        }
    for role, rules in form.roles.items():
        own = tuple(_rule(rule, groups, protected) for rule in rules)
        roles[role] = roles.get(role, ()) + own
    return Policy(form.name, form.version, roles, protected, groups)


def _rule(form: RuleForm, groups: Mapping[str, frozenset[str]], protected: tuple[str, ...]) -> Rule:
    tools = frozenset(form.tools or ()).union(*(groups[name] for name in form.groups or ()))
    matchers = Matchers.model_validate({name: getattr(form, name) for name in Matchers.model_fields})
    if form.protected:
        matchers = matchers.model_copy(update={"paths": protected})
    return Rule(form.id, form.effect, tools, matchers, form.reason or "")


def _widened(rule: Rule, base: Policy, protected: tuple[str, ...]) -> Rule:
    """A rule of the built-in policy that looks at its protected paths looks at the added ones too."""
    if rule.matchers.paths != base.protected:
        return rule
    matchers = rule.matchers.model_copy(update={"paths": protected})
    return Rule(rule.id, rule.effect, rule.tools, matchers, rule.reason)
