"""Default deny, a forbid wins, an ask comes before an allow, and the decision names its rule."""

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hypercode.domain.grant import Grant
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.policy.decide import Allow, Ask, Deny, decide, never, protected_paths
from hypercode.policy.files import BUILT_IN
from hypercode.policy.matchers import Matchers
from hypercode.policy.rules import Effect, Policy, Rule

READS = {"fs_read", "fs_search", "fs_tree", "git_status", "git_diff"}
CHECKS = {"test_run", "lint_run", "type_check"}
WRITES = ("fs_write", "fs_edit", "fs_apply_patch", "fs_move", "fs_delete", "fs_restore", "git_restore")


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


CODER = grant(AgentRole.CODER)


def rule(id: str, effect: Effect, *, tools: tuple[str, ...] = ("t",), **matchers: object) -> Rule:
    return Rule(id, effect, frozenset(tools), Matchers.model_validate(matchers))


def coder_policy(*rules: Rule) -> Policy:
    return Policy("x", 1, {AgentRole.CODER: rules})


def wrote(*paths: str, tool: str = "t") -> ToolCall:
    return ToolCall(tool, Touched(paths=paths))


def test_the_roles_may_call_what_the_design_says() -> None:
    allowed = {
        role: {t for t in BUILT_IN.tools if isinstance(decide(ToolCall(t), grant(role), BUILT_IN), Allow)}
        for role in AgentRole
    }
    for role in AgentRole:
        assert allowed[role] >= READS
    changing = {*WRITES, "sh_exec", "sh_start", "git_commit", "container_run", "fs_snapshot"}
    for role in (AgentRole.ARCHITECT, AgentRole.REVIEWER, AgentRole.PERSON):
        assert not allowed[role] & changing
    assert allowed[AgentRole.CODER] >= changing | CHECKS
    assert allowed[AgentRole.REVIEWER] >= CHECKS
    assert not (allowed[AgentRole.ARCHITECT] | allowed[AgentRole.PERSON]) & CHECKS
    assert {role for role in AgentRole if "task_delegate" in allowed[role]} == {AgentRole.ARCHITECT}
    assert not any("deploy" in tools for tools in allowed.values())


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
@pytest.mark.parametrize("tool", WRITES)
def test_git_internals_are_never_written(tool: str, path: str) -> None:
    verdict = decide(wrote("a.py", path, tool=tool), CODER, BUILT_IN)
    assert verdict == Deny("coder.no_git_internals", "nothing is written below .git")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (".env", Ask),
        ("deploy/.env", Ask),
        (".github/workflows/ci.yml", Ask),
        (".github", Ask),
        (".gitattributes", Ask),
        ("src/.vscode/settings.json", Ask),
        ("AGENTS.md", Ask),
        ("web/claude.md", Ask),
        (".husky/pre-commit", Ask),
        ("src/environment.py", Allow),
        (".gitignore", Allow),
        ("README.md", Allow),
        ("git/x.py", Allow),
        ("src/a.git.py", Allow),
        ("uv.lock", Allow),
    ],
)
def test_protected_paths_ask(path: str, kind: type) -> None:
    for tool in WRITES:
        assert isinstance(decide(wrote(path, tool=tool), CODER, BUILT_IN), kind)


def test_the_diff_gate_asks_for_the_protected_paths_of_a_diff() -> None:
    diff = ("src/a.py", ".github/workflows/x.yml", "docs/AGENTS.md", ".GITHUB/workflows/y.yml", "uv.lock")
    assert protected_paths(BUILT_IN, diff) == (diff[1], diff[2], diff[3])
    assert protected_paths(replace(BUILT_IN, protected=()), diff) == ()
    # A symlink or a file in the place of a protected folder.
    places = (".vscode", "a/.idea", ".github", ".github/workflows", "src", "vscode", ".github/other")
    assert protected_paths(BUILT_IN, places) == places[:4]


def test_a_grant_limits_the_role_and_never_widens_it() -> None:
    few = grant(AgentRole.CODER, frozenset({"fs_read", "plan_submit"}))
    assert isinstance(decide(ToolCall("fs_read"), few, BUILT_IN), Allow)
    assert decide(ToolCall("sh_exec"), few, BUILT_IN).rule == "grant.tools"
    assert decide(ToolCall("plan_submit"), few, BUILT_IN).rule == "default"


def test_forbid_wins_over_ask_over_allow_in_any_order() -> None:
    rules = (
        rule("a", Effect.ALLOW),
        rule("b", Effect.ASK, paths=("docs/**",)),
        rule("c", Effect.FORBID, paths=("**/*.lock",)),
    )
    for policy in (coder_policy(*rules), coder_policy(*rules[::-1])):
        assert decide(wrote("a.py"), CODER, policy).rule == "a"
        assert decide(wrote("docs/a.md"), CODER, policy).rule == "b"
        assert decide(wrote("a.py", "docs/uv.lock"), CODER, policy).rule == "c"
        assert decide(ToolCall("t"), grant(AgentRole.ARCHITECT), policy).rule == "default"


def test_an_allow_covers_every_path_and_a_forbid_needs_one() -> None:
    docs = coder_policy(rule("docs", Effect.ALLOW, paths=("docs/**", "README.md")))
    assert decide(wrote("docs/a.md", "README.md"), CODER, docs).rule == "docs"
    # One good path among others opens nothing.
    assert decide(wrote("docs/a.md", "src/x.py"), CODER, docs).rule == "default"
    # What names no path is not a call on docs.
    assert decide(ToolCall("t"), CODER, docs).rule == "default"
    assert decide(wrote("DOCS/a.md"), CODER, docs).rule == "default"
    # Two rules that each cover a part do not add up.
    two = coder_policy(rule("a", Effect.ALLOW, paths=("a/**",)), rule("b", Effect.ALLOW, paths=("b/**",)))
    assert decide(wrote("a/x", "b/y"), CODER, two).rule == "default"


def test_a_tool_is_shown_when_some_call_of_it_could_pass() -> None:
    policy = coder_policy(
        rule("some", Effect.ALLOW, tools=("some",), paths=("docs/**",)),
        rule("asked", Effect.ASK, tools=("asked",), paths=("docs/**",)),
        rule("partly", Effect.ALLOW, tools=("partly", "shut")),
        rule("no_lock", Effect.FORBID, tools=("partly",), paths=("**/*.lock",)),
        rule("shut", Effect.FORBID, tools=("shut",)),
        rule("only", Effect.FORBID, tools=("only",), paths=("x",)),
    )
    tools = ("some", "asked", "partly", "shut", "only", "unknown")
    assert [tool for tool in tools if never(tool, CODER, policy) is None] == ["some", "asked", "partly"]
    denied = {tool: never(tool, CODER, policy) for tool in ("shut", "only", "unknown")}
    assert {tool: deny.rule for tool, deny in denied.items() if deny} == {
        "shut": "shut",
        "only": "default",
        "unknown": "default",
    }
    few = grant(AgentRole.CODER, frozenset({"asked"}))
    shut_out = never("some", few, policy)
    assert shut_out is not None
    assert shut_out.rule == "grant.tools"
    assert never("deploy", CODER, BUILT_IN) is None


def test_the_hash_names_what_decides() -> None:
    hashes = {
        BUILT_IN.sha256,
        replace(BUILT_IN, version=3).sha256,
        replace(BUILT_IN, protected=BUILT_IN.protected[1:]).sha256,
        coder_policy(rule("a", Effect.ALLOW)).sha256,
        coder_policy(rule("a", Effect.ALLOW, hosts=("pypi.org",))).sha256,
        coder_policy(rule("a", Effect.ASK)).sha256,
    }
    assert len(hashes) == 6
    assert coder_policy(rule("a", Effect.ALLOW)).sha256 == coder_policy(rule("a", Effect.ALLOW)).sha256


def test_a_decision_takes_far_less_than_a_millisecond() -> None:
    # A guard against a slip, not a measurement: that is bench/policy.py. The best of many is what a busy machine lets through.
    policy = coder_policy(
        *(rule(f"r{n}", Effect.FORBID, paths=(f"pkg{n}/**/x*y", f"**/*.gen{n}")) for n in range(199)),
        rule("last", Effect.ALLOW),
    )
    call = wrote("src/deep/er/and/deeper/file.py")
    for asked, rules, most in ((call, policy, 0.001), (wrote("a.py", tool="fs_write"), BUILT_IN, 0.0002)):
        took: list[float] = []
        for _ in range(300):
            began = time.thread_time()
            decide(asked, CODER, rules)
            took.append(time.thread_time() - began)
        assert min(took) < most
