"""``hypercode audit``: 0 the audit holds, 1 it is broken, 2 it can't be asked like that."""

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from hypercode.cli.__main__ import app
from hypercode.domain.errors import HyperCodeError
from hypercode.store.audit import AuditedCall, append_audit
from hypercode.store.audit_seals import seal_run
from hypercode.store.database import Database

RUN, OTHER = f"run_{1:032x}", f"run_{2:032x}"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, own_database_url: str) -> None:
    monkeypatch.setenv("HYPERCODE_DATABASE_URL", own_database_url)


@pytest.fixture(scope="module", autouse=True)
def written(own_database_url: str) -> None:
    """Two runs: one sealed, with a refusal and a call that never ended; one open."""

    async def write() -> None:
        database = Database(own_database_url)
        async with database.transaction() as session:
            for run, call_id, tool, effect, rule, outcome in (
                (RUN, "1", "fs_read", "allow", "coder.reads", "OK"),
                (
                    RUN,
                    "2",
                    "fs_\x1b]52;c;x\x07\x9b2Jwrite",
                    "deny",
                    "coder.no_git_internals",
                    "POLICY_DENIED",
                ),
                (OTHER, "1", "sh_exec", "allow", "coder.works", None),
            ):
                call = AuditedCall(run, "org", "prj", call_id, tool, "0" * 64)
                await append_audit(session, call, "decision", {"effect": effect, "rule": rule})
                if outcome:
                    await append_audit(session, call, "outcome", {"outcome": outcome})
            await seal_run(session, RUN)
        await database.dispose()

    asyncio.run(write())


def change(url: str, *statements: str) -> None:
    async def execute() -> None:
        database = Database(url)
        async with database.transaction() as session:
            for statement in statements:
                await session.execute(text(statement))
        await database.dispose()

    asyncio.run(execute())


def audit(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audit", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """The code with which a command is refused; its exit code is set by ``main``."""
    result = audit(*arguments)
    assert isinstance(result.exception, HyperCodeError), result.output
    return result.exception.code


def test_verify_says_that_it_holds_and_where_it_ends(tmp_path: Path) -> None:
    found = audit("verify")
    assert (found.exit_code, "holds: 5 rows of 2 runs, 1 seals" in found.output) == (0, True), found.output
    as_json = json.loads(audit("verify", "--json", "--run", RUN).output)
    assert (as_json["ok"], as_json["rows"], as_json["seals"]) == (True, 4, 1)
    head = audit("head").output
    assert json.loads(head) | {"read_at": ""} == {**as_json["head"], "read_at": ""}
    anchor = tmp_path / "anchors.jsonl"
    anchor.write_text(head + head)
    assert "1 anchors stand in the chain" in audit("verify", "--anchor", anchor).output


def test_verify_names_the_first_bad_place(own_database_url: str, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.write_text(json.dumps({"seq": 1, "hash": "ab" * 32}))
    forged = audit("verify", "--anchor", anchor)
    assert (forged.exit_code, "seal 1 is not the one of the anchor" in forged.output) == (1, True)
    change(own_database_url, "UPDATE audit SET tool = tool || 'x' WHERE tool = 'sh_exec'")
    broken = audit("verify")
    assert (broken.exit_code, broken.output.strip()) == (1, f"BROKEN: run {OTHER}: row 1 was changed")
    as_json = audit("verify", "--json")
    assert (as_json.exit_code, json.loads(as_json.output)["ok"]) == (1, False)
    assert audit("verify", "--run", RUN).exit_code == 0
    change(own_database_url, "UPDATE audit SET tool = 'sh_exec' WHERE tool = 'sh_execx'")
    assert audit("verify").exit_code == 0


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"seq": 1, "hash": "zz"}', '{"seq": "x", "hash": ""}', "\x00"]
)
def test_what_is_no_anchor_is_refused(content: str, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.write_text(content)
    assert refused("verify", "--anchor", anchor) == "INVALID_ARGUMENT"
    assert refused("verify", "--anchor", tmp_path / "none") == "INVALID_ARGUMENT"


def test_bad_input_is_refused() -> None:
    assert refused("verify", "--run", "run_none") == "NOT_FOUND"
    assert refused("show", "run_none") == "NOT_FOUND"
    assert refused("show", "--since", "yesterday") == "INVALID_ARGUMENT"
    assert audit("show", "--limit", "0").exit_code == 2


def test_show_is_a_table_that_can_not_steer_a_terminal() -> None:
    shown = audit("show", RUN).output
    assert shown, audit("show", RUN).exception
    header, first, second = shown.splitlines()
    assert header.split() == ["time", "tool", "effect", "rule", "outcome", "duration"]
    assert first.split()[2:6] == ["fs_read", "allow", "coder.reads", "OK"]
    assert "POLICY_DENIED" in second
    assert all(char.isprintable() or char == "\n" for char in shown)
    everything = audit("show", "--since", "1h").output
    assert [line.split()[2] for line in everything.splitlines()[1:]] == [RUN, RUN, OTHER]
    assert "open" in everything.splitlines()[-1]


def test_show_filters_and_speaks_json() -> None:
    denied = [json.loads(line) for line in audit("show", "--denied", "--json").output.splitlines()]
    assert [(call["decision"]["effect"], call["outcome"]["outcome"]) for call in denied] == [
        ("deny", "POLICY_DENIED")
    ]
    assert denied[0]["duration_ms"] >= 0
    by_tool = [json.loads(line) for line in audit("show", "--tool", "sh_exec", "--json").output.splitlines()]
    assert [(call["run_id"], call["outcome"], call["ended_at"]) for call in by_tool] == [(OTHER, None, None)]
    assert "No call fits" in audit("show", "--since", "2100-01-01").output
    assert len(audit("show", "--limit", "1").output.splitlines()) == 2
