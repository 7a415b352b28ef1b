"""A policy's text is closed: what is wrong with it is said with its line and field, and never half taken."""

import contextlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hypercode.domain.errors import InvalidPolicy
from hypercode.domain.role import AgentRole
from hypercode.domain.tool_call import ToolCall, Touched
from hypercode.policy.decide import decide_for_role, protected_paths
from hypercode.policy.files import BUILT_IN, BUILT_IN_TEXT
from hypercode.policy.parse import parse_policy, parse_tests
from hypercode.policy.rules import Policy

WHOLE = """\
name: mine
version: 7
groups:
  edits: [fs_write, fs_edit]
protected: [secrets/**]
roles:
  coder:
    - id: docs
      effect: allow
      reason: the docs are open
      groups: [edits]
      tools: [fs_read, ext_jira_search]
      paths: [docs/**, "*.md"]
      argv:
        - {program: [git, gh], positional: [push], has_any: [-f, --force]}
      image: [{registry: docker.io, name: library/*, tag: "3.*", pinned: true}]
      hosts: [pypi.org, "*.example.org"]
      ref: [release/*]
      secrets: [PROD_*]
      size: {min: 1, max: 1000}
    - {id: kept, effect: ask, tools: [fs_write], protected: true}
tests:
  - {role: coder, tool: fs_write, paths: [secrets/a], expect: ask, rule: kept}
"""
RUBBISH = (
    "", "{", "}", "[", "]", ": ", "- ", "\t", "\n", "&a ", "*a", "!!python/name:os ", "'", '"', "| ", "? ", "---\n", "%YAML 1.2\n", "\0",
    "\ufeff", "\u2028", "\ud800", "null", "no", "1e9", "0x10", "<<: ", "{}: 1", "[a]: b", "9" * 30, "#", "\r", '"\\ud800"',
)  # fmt: skip
HEAD = "name: a\nversion: 1\n"


def parsed(text: str) -> Policy:
    return parse_policy(text, "p.yaml", BUILT_IN)[0]


def test_everything_that_the_form_has() -> None:
    policy, cases = parse_policy(WHOLE, "p.yaml", BUILT_IN)
    docs, kept = policy.roles[AgentRole.CODER]
    assert docs.tools == {"fs_write", "fs_edit", "fs_read", "ext_jira_search"}
    assert [name for name, _ in docs.conditions] == [
        "paths",
        "argv",
        "image",
        "hosts",
        "ref",
        "secrets",
        "size",
    ]
    assert kept.matchers.paths == ("secrets/**",)
    assert cases[0].call() == ToolCall("fs_write", Touched(paths=("secrets/a",)))
    # The order of keys, comments and the way of writing decide nothing, and change no hash.
    assert parsed(yaml.safe_dump(yaml.safe_load(WHOLE))).sha256 == policy.sha256
    assert parsed(WHOLE.replace("max: 1000", "max: 1001")).sha256 != policy.sha256


def test_a_policy_that_extends_the_built_in_one_adds_to_it() -> None:
    policy = parsed(
        HEAD
        + """\
extends: built-in
protected: [infra/**]
protect_lock_files: true
roles:
  coder:
    - {id: no_push, effect: forbid, groups: [runs], argv: [{program: [git], positional: [push]}]}
"""
    )
    push = ToolCall("sh_exec", Touched(argv=("git", "push")))
    assert decide_for_role(push, AgentRole.CODER, policy).rule == "no_push"
    assert decide_for_role(push, AgentRole.CODER, BUILT_IN).rule == "coder.works"
    for path in ("infra/main.tf", "web/package-lock.json", ".github/workflows/x.yml"):
        assert protected_paths(policy, (path,)) == (path,)
        write = ToolCall("fs_write", Touched(paths=(path,)))
        assert decide_for_role(write, AgentRole.CODER, policy).rule == "coder.asks_for_protected_paths"
    assert policy.roles[AgentRole.PERSON] == BUILT_IN.roles[AgentRole.PERSON]
    assert protected_paths(BUILT_IN, ("infra/main.tf", "uv.lock")) == ()


RULE = HEAD + "roles:\n  coder:\n    - id: a\n      effect: allow\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        # The text
        ("", "line 1: the text is empty"),
        ("# nothing\n", "line 1: the text is empty"),
        ("a: [", "line 2: not YAML"),
        ("name: a\n\tb: c", "line 2: not YAML"),
        ("name: \x07", "not YAML"),
        ("- a", "line 1: Input should be an object"),
        ("name: a\n---\nname: b\n", "line 2: not YAML"),
        ("name: a\nname: b\n", "line 2: the key 'name' stands there twice"),
        (HEAD + "roles:\n  coder: []\n  coder: []\n", "line 5: the key 'coder' stands there twice"),
        ("name: &a x\nversion: 1\n", "line 1: anchors and aliases are not taken"),
        ("name: x\nroles: *b\n", "line 2: anchors and aliases are not taken"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "line 1: anchors"),
        ("name: !!python/object/apply:os.system [id]\n", "line 1: tags are not taken"),
        ("name: !x y\n", "line 1: tags are not taken"),
        ("x: " + "[" * 50 + "]" * 50, "line 1: it is nested deeper"),
        ("a" * 1_000_001, "line 1: the text is longer"),
        ("name: no\n", "line 1: 'no' can be read in two ways"),
        (HEAD + "extends:\nroles: {}\n", "line 3: nothing stands here"),
        (HEAD + "extends: null\nroles: {}\n", "line 3: nothing stands here"),
        ("name: a\nversion: 1.0\n", "line 2: '1.0' can be read in two ways"),
        ("name: a\nversion: 010\n", "line 2: '010' can be read in two ways"),
        ("name: 2026-01-01\n", "line 1: '2026-01-01' can be read in two ways"),
        ("name: a\n1: x\n", "line 2: the key '1' is no text"),
        ("<<: {a: b}\n", "line 1: '<<' can be read in two ways"),
        # The form
        (HEAD, "line 1: roles: it is missing"),
        (HEAD + "roles: {}\nwhen: x\n", "line 4: when: there is no such field"),
        ("name: A B\nversion: 1\nroles: {}", "line 1: name: "),
        ('name: a\nversion: "1"\nroles: {}', "line 2: version: "),
        ("name: a\nversion: true\nroles: {}", "line 2: version: "),
        ("name: a\nversion: 0\nroles: {}", "line 2: version: "),
        (HEAD + "extends: other\nroles: {}\n", "line 3: extends: "),
        (HEAD + "roles:\n  boss: []\n", "line 4: roles.boss: "),
        (HEAD + "roles:\n  coder:\n    - {}\n", "line 5: roles.coder.0.id: it is missing"),
        (RULE, "line 5: roles.coder.0: it names no tools"),
        (RULE + "      tools: []\n", "line 7: roles.coder.0.tools: it is empty"),
        (RULE + "      tools: fs_read\n", "line 7: roles.coder.0.tools: "),
        (RULE + "      tools: [fs_wrte]\n", "line 7: roles.coder.0.tools: there is no tool 'fs_wrte': did you mean 'fs_write'?"),
        (RULE + "      tools: [FS]\n", "line 7: roles.coder.0.tools.0: "),
        (RULE + "      groups: [x]\n", "line 7: roles.coder.0.groups: there is no group 'x'"),
        (RULE.replace("allow", "maybe") + "      tools: [fs_read]\n", "line 6: roles.coder.0.effect: Input should be 'allow', 'ask' or 'forbid'"),
        (RULE + "      tools: [fs_read]\n      when: x\n", "line 8: roles.coder.0.when: there is no such field"),
        (RULE + "      tools: [fs_read]\n      protected: true\n", "line 8: roles.coder.0.protected: the policy protects no paths"),
        (RULE + "      tools: [fs_read]\n    - {id: a, effect: ask, tools: [fs_read]}\n", "line 8: roles.coder.1.id: 'a' is taken"),
        # The matchers
        (RULE + "      tools: [fs_read]\n      paths:\n", "line 8: nothing stands here"),
        (RULE + "      tools: [fs_read]\n      paths: []\n", "line 8: roles.coder.0.paths: it is empty"),
        (RULE + "      tools: [fs_read]\n      paths:\n        - a\n        - /etc/**\n", "line 10: roles.coder.0.paths.1: a path glob is relative"),
        (RULE + "      tools: [fs_read]\n      paths: [a**b]\n", "roles.coder.0.paths.0: '**' stands alone"),
        (RULE + "      tools: [fs_read]\n      argv: [{}]\n", "roles.coder.0.argv.0: it is empty"),
        (RULE + "      tools: [fs_read]\n      argv: [{program: []}]\n", "roles.coder.0.argv.0.program: it is empty"),
        (RULE + "      tools: [fs_read]\n      image: [{digest: abc}]\n", "roles.coder.0.image.0.digest: "),
        (RULE + "      tools: [fs_read]\n      hosts: ['https://x.org']\n", "roles.coder.0.hosts.0: a host is"),
        (RULE + "      tools: [fs_read]\n      hosts: ['*']\n", "roles.coder.0.hosts.0: a host is"),
        (RULE + "      tools: [fs_read]\n      size: {}\n", "roles.coder.0.size: it is empty"),
        (RULE + "      tools: [fs_read]\n      size: {min: 2, max: 1}\n", "roles.coder.0.size: min is more than max"),
        (RULE + "      tools: [fs_read]\n      size: {max: -1}\n", "roles.coder.0.size.max: "),
        # What extends
        (HEAD + "extends: built-in\ngroups: {reads: [fs_read]}\nroles: {}\n", "line 4: groups.reads: the built-in policy has a group"),
        (HEAD + "extends: built-in\nroles:\n  coder:\n    - {id: coder.reads, effect: ask, tools: [fs_read]}\n", "line 6: roles.coder.0.id: 'coder.reads' is taken"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line_and_field(text: str, told: str) -> None:
    with pytest.raises(InvalidPolicy) as caught:
        parsed(text)
    assert caught.value.code == "INVALID_POLICY"
    assert caught.value.message.startswith("p.yaml: line ")
    assert told in caught.value.message
    assert "hypercode policy schema" in caught.value.hint


def test_many_faults_are_told_in_the_order_of_their_lines() -> None:
    rules = "".join(f"    - {{id: r{n}, effect: no, tools: [x]}}\n" for n in range(9)).replace("no", "'no'")
    with pytest.raises(InvalidPolicy, match=r"line 5: .*line 6: .*line 9: .*; and 4 more$"):
        parsed(HEAD + "roles:\n  coder:\n" + rules)


def test_a_table_in_a_file_of_its_own() -> None:
    rows = parse_tests(
        "tests:\n  - {role: coder, tool: sh_exec, argv: [git, push], expect: deny}\n", "t.yaml"
    )
    assert rows[0].call().touched.argv == ("git", "push")
    for broken in ("tests: []", "tests: [{role: coder, tool: x, expect: forbid}]", "rows: []", WHOLE):
        with pytest.raises(InvalidPolicy, match=r"t\.yaml: line \d"):
            parse_tests(broken, "t.yaml")


def test_the_built_in_text_can_be_copied() -> None:
    assert parsed(BUILT_IN_TEXT) == BUILT_IN


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 20), st.sampled_from(RUBBISH)), min_size=1, max_size=4))  # fmt: skip
def test_no_text_breaks_the_reader(cuts: list[tuple[int, int, str]]) -> None:
    text = WHOLE
    for at, length, put in cuts:
        text = text[:at] + put + text[at + length :]
    with contextlib.suppress(InvalidPolicy):
        assert parsed(text).name
