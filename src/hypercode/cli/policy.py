"""``hypercode policy``: who may call what. Needs no server and no database."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from hypercode.cli.show import plain
from hypercode.domain.errors import HyperCodeError, InvalidArgument, InvalidPolicy
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.mcp_protocol.schemas import canonical_path
from hypercode.policy.decide import Allow, Decision
from hypercode.policy.explain import CaseResult, Explanation, Look, explain, run_cases
from hypercode.policy.files import (
    BUILT_IN,
    BUILT_IN_CASES,
    BUILT_IN_TEXT,
    load_policy_and_cases,
    read_text,
)
from hypercode.policy.form import CaseForm, policy_schema
from hypercode.policy.parse import parse_tests
from hypercode.policy.rules import Policy, Rule
from hypercode.settings import Settings

HELD, FAILED, UNUSABLE = 0, 1, 2
EFFECT_WORDS = {"allow": "allowed", "deny": "denied", "ask": "asks a person"}

policy = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="A policy file. Default: the one of HYPERCODE_POLICY_FILE, else the built-in one."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@policy.callback()
def group() -> None:
    """Who may call what: show, explain and test the rules.

    Each role's rules allow a call, ask a person, or forbid it; a forbid wins over an ask, an ask over an allow. What
    no rule allows is denied. docs/reference/policy.md describes the form.

    \b
    hypercode policy show                      which rules hold
    hypercode policy explain --role coder --tool fs_write --path .github/workflows/ci.yml
    hypercode policy show --yaml               the built-in policy's text, to start from
    hypercode policy test policy.yaml          a policy against its table of expected decisions
    """


@policy.command()
def show(
    policy_file: PolicyFile = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the text that it is written in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the policy that holds: its name, version and hash, and the rules of each role."""
    path = policy_file or Settings().policy_file
    rules, _ = _loaded(path)
    if as_yaml:
        typer.echo(plain(read_text(path) if path else BUILT_IN_TEXT), nl=False)
    elif as_json:
        typer.echo(json.dumps({"sha256": rules.sha256, **rules.plain()}))
    else:
        typer.echo(plain("\n".join(_shown(rules, path))))


@policy.command()
def schema() -> None:
    """Print the JSON Schema of a policy file, for editors."""
    typer.echo(json.dumps(policy_schema(), indent=2))


@policy.command(name="test")
def held(
    file: Annotated[
        Path | None, typer.Argument(help="A policy file. Default: the policy that holds.", show_default=False)
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--tests", help="A table in a file of its own. Default: NAME.tests.yaml beside NAME.yaml."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold a policy against its table of expected decisions.

    The rows stand under `tests` in the policy, in NAME.tests.yaml beside it, or in both. A row is a call and what
    is expected of it:

    \b
    {role: coder, tool: fs_write, paths: [.env], expect: ask, rule: coder.asks_for_protected_paths}

    Exit codes: 0 every row holds, 1 one does not, 2 the policy or the table can't be used, or there are no rows.
    """
    try:
        rules, cases = _loaded(file or Settings().policy_file)
        cases += _beside(file or Settings().policy_file, table)
        if not cases:
            raise InvalidPolicy(
                "there are no tests", hint="Write rows under `tests`, or name a file with --tests."
            )
    except HyperCodeError as error:
        _unusable(error, as_json)
    results = run_cases(cases, rules)
    ok = all(result.ok for result in results)
    if as_json:
        rows = [_row(number, result) for number, result in enumerate(results, 1)]
        typer.echo(json.dumps({"ok": ok, "policy": rules.name, "sha256": rules.sha256, "tests": rows}))
    else:
        for number, result in enumerate(results, 1):
            typer.echo(plain(_told(number, result)))
        failed = sum(not result.ok for result in results)
        typer.echo(
            f"{len(results) - failed} of {len(results)} hold" + (f", {failed} do not" if failed else "")
        )
    raise typer.Exit(HELD if ok else FAILED)


@policy.command(name="explain")
def explained(  # noqa: PLR0913 - the options of a command
    role: Annotated[AgentRole, typer.Option(help="The role that calls.")],
    tool: Annotated[str, typer.Option(help="The tool's name.")],
    path: Annotated[
        list[str] | None, typer.Option(help="A path that the call writes; may be given again.")
    ] = None,
    argv: Annotated[
        str | None,
        typer.Option(help="The command's words, such as 'git push -f'. A script's are: sh -c 'SCRIPT'."),
    ] = None,
    image: Annotated[str | None, typer.Option(help="A container image.")] = None,
    host: Annotated[list[str] | None, typer.Option(help="A network host; may be given again.")] = None,
    ref: Annotated[str | None, typer.Option(help="A Git ref.")] = None,
    secret: Annotated[
        list[str] | None, typer.Option(help="The name of a secret; may be given again.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Bytes that the call writes.", min=0)] = None,
    policy_file: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """Say what the policy decides about a call, and how each rule of the role looks at it. Nothing is called.

    A run's grant may cover fewer tools than its role; that is not looked at here.

    \b
    hypercode policy explain --role coder --tool fs_move --path ci.yml --path .github/workflows/ci.yml
    hypercode policy explain --role coder --tool sh_exec --argv "sh -c 'git push'"
    """
    rules, _ = _loaded(policy_file or Settings().policy_file)
    if tool not in rules.tools | BUILT_IN.tools:
        raise InvalidArgument(
            f"There is no tool {plain(tool)!r}.", hint="`hypercode policy show` names them all."
        )
    touched = Touched(
        paths=tuple(map(_canonical, path or ())),
        argv=_words(argv), image=image, hosts=tuple(host or ()), ref=ref, secrets=tuple(secret or ()), size=size,
    )  # fmt: skip
    found = explain(ToolCall(tool, touched), role, rules)
    if as_json:
        typer.echo(json.dumps(_explanation(rules, found)))
    else:
        typer.echo(plain("\n".join(_explained(rules, found, role, tool))))


def _loaded(path: Path | None) -> tuple[Policy, tuple[CaseForm, ...]]:
    return (BUILT_IN, BUILT_IN_CASES) if path is None else load_policy_and_cases(path)


def _beside(path: Path | None, table: Path | None) -> tuple[CaseForm, ...]:
    """The rows of the file that was named, or of the one beside the policy, where there is one."""
    if table is None and path is not None:
        beside = path.with_name(f"{path.stem}.tests.yaml")
        table = beside if beside.exists() else None
    return parse_tests(read_text(table), str(table)) if table else ()


def _canonical(path: str) -> str:
    """The form in which a rule sees a path; one outside the workspace reaches no rule at all."""
    try:
        return canonical_path(path)
    except HyperCodeError as error:
        raise InvalidArgument(error.message, hint=error.hint) from None


def _words(argv: str | None) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(argv or ""))
    except ValueError as error:
        raise InvalidArgument(f"--argv can't be split into words: {error}.") from None


def _unusable(error: HyperCodeError, as_json: bool) -> NoReturn:
    if not as_json:
        raise error
    typer.echo(json.dumps({"ok": False, "code": error.code, "message": error.message, "hint": error.hint}))
    raise typer.Exit(UNUSABLE)


def _shown(rules: Policy, path: Path | None) -> list[str]:
    lines = [f"{rules.name}, version {rules.version}, sha256 {rules.sha256}"]
    lines.append(f"from {path}" if path else "built in; HYPERCODE_POLICY_FILE names another")
    for role in AgentRole:
        lines += ["", role.value + ("" if rules.roles.get(role) else ": nothing is allowed")]
        for rule in rules.roles.get(role, ()):
            lines += _shown_rule(rule, rules)
    return [*lines, "", f"protected paths: {' '.join(rules.protected) or 'none'}"]


def _shown_rule(rule: Rule, rules: Policy) -> list[str]:
    lines = [f"  {rule.effect.value:6} {rule.id}", f"         tools: {' '.join(sorted(rule.tools))}"]
    for name, value in rule.matchers.model_dump(mode="json", exclude_none=True).items():
        protected = name == "paths" and rule.matchers.paths == rules.protected
        lines.append(f"         {name}: {'the protected paths' if protected else _value(value)}")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):  # type: ignore[reportUnknownVariableType]
        return " ".join(value)  # type: ignore[reportUnknownArgumentType]
    return json.dumps(value)


def _row(number: int, result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "number": number,
        "ok": result.ok,
        "call": case.model_dump(mode="json", exclude_defaults=True, exclude={"expect", "rule"}),
        "expected": {"decision": case.expect, "rule": case.rule},
        "found": {"decision": result.decision.effect, "rule": result.decision.rule},
    }


def _told(number: int, result: CaseResult) -> str:
    case, decision = result.case, result.decision
    what = " ".join([case.tool, *case.paths, *case.argv, *case.hosts, *filter(None, (case.image, case.ref))])
    line = f"{'ok  ' if result.ok else 'FAIL'} {number:3} {case.role}: {what}: {decision.effect} ({decision.rule})"
    if not result.ok:
        line += f"; expected {case.expect}" + (f" ({case.rule})" if case.rule else "")
    return line + (f"  # {case.name}" if case.name else "")


def _explanation(rules: Policy, found: Explanation) -> dict[str, Any]:
    looks = [{**asdict(look), "effect": look.effect.value, "matches": look.matches} for look in found.looks]
    return {"policy": rules.name, "sha256": rules.sha256, **_decision(found.decision), "rules": looks}


def _decision(decision: Decision) -> dict[str, Any]:
    reason = None if isinstance(decision, Allow) else decision.reason
    return {"decision": decision.effect, "rule": decision.rule, "reason": reason}


def _explained(rules: Policy, found: Explanation, role: AgentRole, tool: str) -> Sequence[str]:
    decision = found.decision
    lines = [f"{tool} by the role {role}: {EFFECT_WORDS[decision.effect]}, by {decision.rule}"]
    if not isinstance(decision, Allow):
        lines.append(f"Why: {decision.reason}.")
    lines += [
        "",
        f"The role's rules in {rules.name}, version {rules.version} (a forbid wins over an ask over an allow):",
    ]
    return [*lines, *(_looked(look, decision) for look in found.looks)]


def _looked(look: Look, decision: Decision) -> str:
    if not look.names_tool:
        words = "is about other tools"
    elif look.matches:
        words = "matches" + (", and decides" if look.rule == decision.rule else "")
    else:
        words = "does not match: " + ", ".join(name for name, matched in look.matchers.items() if not matched)
    return f"  {look.effect.value:6} {look.rule}: {words}"
