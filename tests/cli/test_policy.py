"""``hypercode policy``: shows, explains and tests; 0 when a table holds, 1 when it does not, 2 for what can't be used."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from hypercode.cli import doctor
from hypercode.cli.__main__ import BAD_INPUT
from hypercode.cli.policy import policy
from hypercode.domain.errors import InvalidPolicy
from hypercode.policy.files import BUILT_IN, BUILT_IN_TEXT
from hypercode.policy.form import policy_schema
from hypercode.settings import Settings

MINE = """\
name: mine
version: 4
extends: built-in
roles:
  coder:
    - {id: no_push, effect: forbid, reason: pushing is for people, tools: [sh_exec], argv: [{program: [git], positional: [push]}]}
"""
PUSH = "{role: coder, tool: sh_exec, argv: [git, push], expect: %s, rule: %s}"


def called(*arguments: str) -> Result:
    return CliRunner().invoke(policy, arguments)


def as_json(*arguments: str) -> Any:
    result = called(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    file = tmp_path / "mine.yaml"
    file.write_text(MINE)
    return file


def test_show(mine: Path) -> None:
    shown = called("show")
    assert shown.exit_code == 0
    assert f"built-in, version {BUILT_IN.version}, sha256 {BUILT_IN.sha256}" in shown.output
    assert "ask    coder.asks_to_deploy" in shown.output
    assert called("show", "--yaml").output == BUILT_IN_TEXT
    assert as_json("show") == {"sha256": BUILT_IN.sha256, **BUILT_IN.plain()}
    other = as_json("show", "--policy", str(mine))
    assert (other["name"], other["version"]) == ("mine", 4)
    assert other["roles"]["coder"][-1]["argv"] == [{"program": ["git"], "positional": ["push"]}]


def test_schema() -> None:
    assert json.loads(called("schema").output) == policy_schema()


def test_explain_says_what_every_rule_makes_of_a_call() -> None:
    told = called("explain", "--role", "coder", "--tool", "fs_write", "--path", "/workspace/./.env")
    assert told.exit_code == 0
    assert told.output.startswith(
        "fs_write by the role coder: asks a person, by coder.asks_for_protected_paths\n"
    )
    assert "forbid coder.no_git_internals: does not match: paths" in told.output
    assert "ask    coder.asks_for_protected_paths: matches, and decides" in told.output
    assert "allow  coder.writes: matches\n" in told.output
    assert "allow  coder.reads: is about other tools" in told.output
    nothing = called("explain", "--role", "person", "--tool", "sh_exec").output
    assert "denied, by default\nWhy: no rule allows this call of sh_exec for the role person." in nothing


def test_explain_knows_every_kind_of_fact(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYPERCODE_POLICY_FILE", str(mine))
    facts = ["--image", "x", "--host", "a", "--ref", "r", "--secret", "s", "--size", "1", "--path", "p"]
    found = as_json("explain", "--role", "coder", "--tool", "sh_exec", "--argv", "git 'push' -f", *facts)
    assert (found["policy"], found["decision"], found["rule"]) == ("mine", "deny", "no_push")
    assert found["reason"] == "pushing is for people"
    assert [look["rule"] for look in found["rules"] if look["matches"]] == [
        "coder.works",
        "coder.asks_for_secrets",
        "no_push",
    ]
    script = as_json("explain", "--role", "coder", "--tool", "sh_exec", "--argv", "sh -c 'git push'")
    assert script["decision"] == "allow"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--role", "boss", "--tool", "fs_write"),
        ("--role", "coder"),
        ("--role", "coder", "--tool", "rm_rf"),
        ("--role", "coder", "--tool", "fs_write", "--path", "../x"),
        ("--role", "coder", "--tool", "fs_write", "--argv", "'"),
        ("--role", "coder", "--tool", "fs_write", "--size", "-1"),
        ("--role", "coder", "--tool", "fs_write", "--policy", "/nowhere"),
    ],
)
def test_explain_refuses_rubbish(arguments: tuple[str, ...]) -> None:
    result = called("explain", *arguments)
    code = getattr(result.exception, "code", None)
    assert result.exit_code == 2 or code in BAD_INPUT


def test_a_table_that_holds_and_one_that_does_not(mine: Path) -> None:
    assert called("test").exit_code == 0
    mine.write_text(MINE + "tests:\n  - " + PUSH % ("deny", "no_push"))
    held = called("test", str(mine))
    assert (held.exit_code, held.output.splitlines()[-1]) == (0, "1 of 1 hold")
    # Rows of the file beside it count too.
    beside = mine.with_name("mine.tests.yaml")
    beside.write_text(f"tests:\n  - {PUSH % ('allow', 'coder.works')}\n  - {PUSH % ('deny', 'default')}\n")
    failed = called("test", str(mine))
    assert failed.exit_code == 1
    assert "FAIL   2 coder: sh_exec git push: deny (no_push); expected allow (coder.works)" in failed.output
    assert failed.output.splitlines()[-1] == "1 of 3 hold, 2 do not"
    told = json.loads(called("test", str(mine), "--json").output)
    assert (told["ok"], told["policy"], [row["ok"] for row in told["tests"]]) == (
        False,
        "mine",
        [True, False, False],
    )
    assert told["tests"][1]["expected"] == {"decision": "allow", "rule": "coder.works"}
    assert told["tests"][1]["found"] == {"decision": "deny", "rule": "no_push"}
    assert told["tests"][1]["call"] == {"role": "coder", "tool": "sh_exec", "argv": ["git", "push"]}


def test_a_table_that_can_not_be_used(mine: Path) -> None:
    for arguments in ((str(mine),), (str(mine), "--tests", "/nowhere"), ("/nowhere",)):
        result = called("test", *arguments)
        assert isinstance(result.exception, InvalidPolicy)
        told = called("test", *arguments, "--json")
        assert told.exit_code == 2
        assert json.loads(told.output)["code"] == "INVALID_POLICY"
    assert "INVALID_POLICY" in BAD_INPUT


def test_text_of_a_policy_can_not_steer_a_terminal(mine: Path) -> None:
    mine.write_text(
        MINE + 'tests:\n  - {role: coder, tool: sh_exec, argv: ["\\x1b]52;c;x\\x07"], expect: ask}\n'
    )
    result = called("test", str(mine))
    assert result.exit_code == 1
    assert "\x1b" not in result.output


def test_doctor_says_which_policy_holds(mine: Path) -> None:
    look = doctor._policy  # pyright: ignore[reportPrivateUsage]
    assert look(Settings()).startswith(f"built-in version {BUILT_IN.version}, sha256 {BUILT_IN.sha256[:12]}")
    assert "mine version 4" in look(Settings(policy_file=mine))
    assert Settings(policy_file="").policy_file is None  # type: ignore[arg-type]
    mine.write_text("name: [")
    with pytest.raises(InvalidPolicy, match=r"mine\.yaml: line \d"):
        look(Settings(policy_file=mine))


def test_help_teaches() -> None:
    for command in ((), ("show",), ("test",), ("explain",), ("schema",)):
        assert called(*command, "--help").exit_code == 0
    assert "hypercode policy explain --role coder" in called("--help").output
    assert isinstance(policy, typer.Typer)
