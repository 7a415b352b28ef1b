"""Default deny, a forbid wins, an ask comes before an allow, and the decision names its rule."""

import time
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.policy.decide import Allow, Ask, Deny, decide
from hypercode.policy.rules import BUILT_IN, Effect, Policy, Rule, path_pattern

ALL_TOOLS = [
    "fs_read",
    "fs_write",
    "fs_edit",
    "fs_search",
    "fs_tree",
    "sh_exec",
    "git_status",
    "git_diff",
    "git_commit",
    "test_run",
    "repair_failing_test",
    "plan_submit",
    "plan_status",
    "task_delegate",
]


def grant(role: AgentRole, tools: frozenset[str] | None = None) -> Grant:
    return Grant(
        organisation_id="o",
        project_id="p",
        task_id="t",
        run_id="r",
        workspace_id="w",
        role=role,
        expires_at=datetime(2099, 1, 1, tzinfo=UTC),
        tools=tools,
    )


def test_the_roles_may_call_what_the_design_says() -> None:
    allowed = {
        role: {t for t in ALL_TOOLS if isinstance(decide(ToolCall(t), grant(role), BUILT_IN), Allow)}
        for role in AgentRole
    }
    reads = {"fs_read", "fs_search", "fs_tree", "git_status", "git_diff"}
    assert allowed[AgentRole.ARCHITECT] == reads | {"plan_submit", "plan_status", "task_delegate"}
    assert allowed[AgentRole.CODER] == reads | {
        "fs_write",
        "fs_edit",
        "sh_exec",
        "git_commit",
        "test_run",
        "repair_failing_test",
    }


@pytest.mark.parametrize(
    "path",
    [
        ".git",
        ".git/config",
        ".git/hooks/pre-commit",
        "sub/.git/config",
        "sub/.git",
        ".GIT/config",
        "a/b/.Git/x",
    ],
)
def test_git_internals_are_never_written(path: str) -> None:
    for tool in ("fs_write", "fs_edit"):
        verdict = decide(ToolCall(tool, Touched(paths=(path,))), grant(AgentRole.CODER), BUILT_IN)
        assert verdict == Deny("coder.no_git_internals", "a rule forbids this call")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".env", Ask),
        ("deploy/.env", Ask),
        (".github/workflows/ci.yml", Ask),
        (".gitattributes", Ask),
        ("src/.vscode/settings.json", Ask),
        ("src/environment.py", Allow),
        (".gitignore", Allow),
        ("git/x.py", Allow),
        ("src/a.git.py", Allow),
    ],
)
def test_protected_paths_ask(path: str, kind: type) -> None:
    assert isinstance(
        decide(ToolCall("fs_write", Touched(paths=(path,))), grant(AgentRole.CODER), BUILT_IN), kind
    )


def test_a_grant_limits_the_role_and_never_widens_it() -> None:
    few = grant(AgentRole.CODER, frozenset({"fs_read", "plan_submit"}))
    assert isinstance(decide(ToolCall("fs_read"), few, BUILT_IN), Allow)
    assert decide(ToolCall("sh_exec"), few, BUILT_IN).rule == "grant.tools"
    assert decide(ToolCall("plan_submit"), few, BUILT_IN).rule == "default"


def test_forbid_wins_over_ask_over_allow_in_any_order() -> None:
    rules = [
        Rule(id="a", effect=Effect.ALLOW, tools=frozenset({"t"})),
        Rule(id="b", effect=Effect.ASK, tools=frozenset({"t"}), paths=("docs/**",)),
        Rule(id="c", effect=Effect.FORBID, tools=frozenset({"t"}), paths=("**/*.lock",)),
    ]
    for order in (rules, rules[::-1]):
        policy = Policy(name="x", version=1, roles={AgentRole.CODER: tuple(order)})
        coder = grant(AgentRole.CODER)
        assert decide(ToolCall("t", Touched(paths=("a.py",))), coder, policy).rule == "a"
        assert decide(ToolCall("t", Touched(paths=("docs/a.md",))), coder, policy).rule == "b"
        assert decide(ToolCall("t", Touched(paths=("a.py", "docs/uv.lock"))), coder, policy).rule == "c"
        assert decide(ToolCall("t"), grant(AgentRole.ARCHITECT), policy).rule == "default"


def test_the_policy_language_is_closed() -> None:
    for broken in (
        {"when": "x"},
        {"effect": "maybe"},
        {"paths": ("/etc/**",)},
        {"paths": ("../x",)},
        {"id": "A B"},
    ):
        with pytest.raises(ValidationError):
            Rule.model_validate({"id": "a", "effect": "allow", "tools": ["t"], **broken})
    assert path_pattern("*.py").fullmatch("a/b.py") is None
    assert BUILT_IN.sha256 != BUILT_IN.model_copy(update={"version": 2}).sha256


def test_a_decision_takes_microseconds() -> None:
    coder, call = grant(AgentRole.CODER), ToolCall("fs_write", Touched(paths=("src/deep/er/file.py",)))
    started = time.perf_counter()
    for _ in range(2000):
        decide(call, coder, BUILT_IN)
    assert (time.perf_counter() - started) / 2000 < 0.001
