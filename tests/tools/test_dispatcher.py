"""The dispatcher over its real listener, with the agent's own client and a raw one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import anyio
import pytest

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import InvalidArgument, InvalidPolicy
from hypercode.domain.tool_call import Touched
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.policy.files import BUILT_IN
from hypercode.policy.parse import parse_policy
from hypercode.sandbox.base import Sandboxes
from hypercode.settings import Settings
from hypercode.store.audit import read_audit, verify_chain
from hypercode.store.database import Database
from hypercode.tools.app import CallRules, create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.registry import Registry, Tool, ToolContext, ToolReply
from hypercode.tools.serve import serve

pytestmark = pytest.mark.anyio


class Note(Arguments):
    path: WorkspacePath = "notes.txt"
    text: str = "x"

    def touched(self) -> Touched:
        return Touched(paths=(self.path,))


class Noted(Closed):
    count: int
    text: str


class Counting:
    """A tool with an effect that can be counted; it waits while the gate is shut."""

    def __init__(self) -> None:
        self.ran = 0
        self.cancelled = 0
        self.entered = anyio.Event()
        self.gate = anyio.Event()
        self.gate.set()

    async def run(self, context: ToolContext, args: Note) -> ToolReply:
        self.ran += 1
        self.entered.set()
        await context.report("working")
        if args.text == "refuse":
            raise InvalidArgument("that text is refused", hint="Send another.")
        if args.text == "break":
            raise ZeroDivisionError("secret detail")
        try:
            await self.gate.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return ToolReply(Noted(count=self.ran, text=args.text), f"noted {args.text}\0")

    def registry(self) -> Registry:
        # The name of a tool that the built-in policy lets a coder call.
        return Registry([Tool("fs_write", "Note.", Note, Noted, self.run, read_only=False, destructive=True)])


@pytest.fixture
async def counting() -> Counting:
    return Counting()


@pytest.fixture
async def socket(
    counting: Counting, database: Database, keys: PlatformKeys, sockets: Path, listening: Any
) -> AsyncIterator[Path]:
    apps = create_app(database, cast(Sandboxes, None), keys, counting.registry())
    path = sockets / "tools.sock"
    async with listening(apps.mcp, path):
        yield path


async def audit_of(database: Database, run_id: str) -> list[tuple[str, str]]:
    async with database.transaction() as session:
        rows = await read_audit(session, run_id)
        report = await verify_chain(session, run_id)
    assert report.ok, report.problem
    return [(row.kind, row.body.get("rule") or row.body["outcome"]) for row in rows]


async def test_a_call_is_decided_run_and_audited_once_for_each_key(
    counting: Counting, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    said: list[str] = []

    async def on_progress(message: str) -> None:
        said.append(message)

    with anyio.fail_after(20):
        async with ToolSession(socket, minting.token(run)) as tools:
            assert [spec.name for spec in await tools.list_tools()] == ["fs_write"]
            first = await tools.call("fs_write", {"text": "a"}, key="k1", on_progress=on_progress)
            again = await tools.call("fs_write", {"text": "a"}, key="k1")
            other = await tools.call("fs_write", {"text": "b"}, key="k1")
            second = await tools.call("fs_write", {"text": "b"}, key="k2")
    assert (first.ok, first.code, first.data, first.text) == (
        True,
        "OK",
        {"count": 1, "text": "a"},
        "noted a\ufffd",
    )
    assert said == ["working"]
    assert again.data == first.data
    assert (other.ok, other.code) == (False, "CONFLICT")
    assert second.data["count"] == 2
    assert counting.ran == 2
    assert await audit_of(database, run.id) == [
        ("decision", "coder.writes"),
        ("outcome", "OK"),
        ("decision", "coder.writes"),
        ("outcome", "OK"),
    ]


async def test_refusals_and_failures_are_results_with_a_code_and_audited(
    counting: Counting, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    async with ToolSession(socket, minting.token(run)) as tools:
        outcomes = {
            "extra": await tools.call("fs_write", {"text": "a", "x": 1}, key="k1"),
            "type": await tools.call("fs_write", {"text": 5}, key="k2"),
            "git": await tools.call("fs_write", {"path": ".git/hooks/pre-commit"}, key="k3"),
            "ask": await tools.call("fs_write", {"path": ".github/workflows/ci.yml"}, key="k4"),
            "unknown": await tools.call("fs_everything", {}, key="k5"),
            "refuse": await tools.call("fs_write", {"text": "refuse"}, key="k6"),
            "break": await tools.call("fs_write", {"text": "break"}, key="k7"),
        }
    assert {name: outcome.code for name, outcome in outcomes.items()} == {
        "extra": "INVALID_ARGUMENT",
        "type": "INVALID_ARGUMENT",
        "git": "POLICY_DENIED",
        "ask": "PENDING_APPROVAL",
        "unknown": "NOT_FOUND",
        "refuse": "INVALID_ARGUMENT",
        "break": "INTERNAL",
    }
    assert outcomes["refuse"].data == {
        "code": "INVALID_ARGUMENT",
        "message": "that text is refused",
        "hint": "Send another.",
        "retryable": False,
        "retry_after_s": None,
    }
    assert "secret" not in outcomes["break"].text
    assert counting.ran == 2
    rows = await audit_of(database, run.id)
    assert [kind for kind, _ in rows] == ["decision", "outcome"] * 7


PARTS = """
name: parts
version: 1
roles:
  coder:
    - {id: docs, effect: allow, tools: [fs_write], paths: [docs/**]}
    - {id: asked, effect: ask, tools: [fs_edit], reason: edits are for two}
    - {id: shut, effect: allow, tools: [fs_move]}
    - {id: never, effect: forbid, tools: [fs_move]}
"""


async def test_tools_that_a_policy_opens_in_part_or_asks_about_are_listed_and_each_call_is_decided(
    counting: Counting,
    database: Database,
    keys: PlatformKeys,
    sockets: Path,
    listening: Any,
    minting: Any,
    new_run: Any,
) -> None:
    policy, _ = parse_policy(PARTS, "parts", BUILT_IN)
    registry = Registry(
        [
            Tool(name, "Note.", Note, Noted, counting.run, read_only=False)
            for name in ("fs_write", "fs_edit", "fs_move", "fs_delete")
        ]
    )
    apps = create_app(database, cast(Sandboxes, None), keys, registry, rules=CallRules(policy))
    run, path = await new_run(), sockets / "tools.sock"
    async with listening(apps.mcp, path), ToolSession(path, minting.token(run)) as tools:
        listed = [spec.name for spec in await tools.list_tools()]
        calls = {
            "inside": await tools.call("fs_write", {"path": "docs/a.md"}, key="k1"),
            "outside": await tools.call("fs_write", {"path": "src/a.py"}, key="k2"),
            "asked": await tools.call("fs_edit", {}, key="k3"),
            # A tool that can be asked about tells its schema, one that can't be called does not.
            "asked, wrong": await tools.call("fs_edit", {"x": 1}, key="k4"),
            "shut, wrong": await tools.call("fs_move", {"x": 1}, key="k5"),
            "unnamed, wrong": await tools.call("fs_delete", {"x": 1}, key="k6"),
        }
    assert listed == ["fs_write", "fs_edit"]
    assert {name: outcome.code for name, outcome in calls.items()} == {
        "inside": "OK",
        "outside": "POLICY_DENIED",
        "asked": "PENDING_APPROVAL",
        "asked, wrong": "INVALID_ARGUMENT",
        "shut, wrong": "POLICY_DENIED",
        "unnamed, wrong": "POLICY_DENIED",
    }
    assert "edits are for two" in calls["asked"].text
    assert counting.ran == 1
    rules = [rule for kind, rule in await audit_of(database, run.id) if kind == "decision"]
    assert rules == ["docs", "default", "asked", "schema", "never", "default"]


async def test_the_process_does_not_start_with_a_policy_that_it_can_not_read(
    tmp_path: Path, database: Database
) -> None:
    (tmp_path / "p.yaml").write_text("name: p\nversion: 1\nroles:\n  coder: yes\n")
    settings = Settings(data_dir=tmp_path, policy_file=tmp_path / "p.yaml")
    with pytest.raises(InvalidPolicy, match=r"p\.yaml: line 4: "):
        await serve(settings, database)
    assert not settings.socket("tools").exists()


async def test_the_same_call_twice_at_once_runs_once(
    counting: Counting, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    counting.gate = anyio.Event()
    results: list[int] = []

    async with ToolSession(socket, minting.token(run)) as one, ToolSession(socket, minting.token(run)) as two:

        async def call(tools: ToolSession) -> None:
            results.append((await tools.call("fs_write", {}, key="same")).data["count"])

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(call, one)
                await counting.entered.wait()
                group.start_soon(call, two)
                await anyio.wait_all_tasks_blocked()
                counting.gate.set()
    assert results == [1, 1]
    assert counting.ran == 1


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_cancelling_stops_the_tool_and_leaves_an_outcome(
    mode: str, counting: Counting, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    counting.gate = anyio.Event()
    with anyio.fail_after(20):
        async with ToolSession(socket, minting.token(run), mode=mode) as tools:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: tools.call("fs_write", {}, key="k"))
                await counting.entered.wait()
                group.cancel_scope.cancel()
            counting.gate = anyio.Event()
            counting.gate.set()
            # The same call again is not run again: what the first one did is unknown.
            outcome = await tools.call("fs_write", {}, key="k")
    assert (outcome.code, counting.ran, counting.cancelled) == ("UNCERTAIN", 1, 1)
    assert await audit_of(database, run.id) == [("decision", "coder.writes"), ("outcome", "cancelled")]


async def test_a_cancel_reaches_calls_of_its_own_run_only(
    counting: Counting, socket: Path, minting: Any, new_run: Any
) -> None:
    counting.gate = anyio.Event()
    outcomes: list[str] = []

    async def call(tools: ToolSession) -> None:
        outcomes.append((await tools.call("fs_write", {}, key="k")).code)

    with anyio.fail_after(20):
        async with (
            ToolSession(socket, minting.token(await new_run()), mode="legacy") as one,
            ToolSession(socket, minting.token(await new_run()), mode="legacy") as two,
            anyio.create_task_group() as staying,
        ):
            # Both sessions count their requests from the same number.
            staying.start_soon(call, one)
            await counting.entered.wait()
            counting.entered = anyio.Event()
            async with anyio.create_task_group() as leaving:
                leaving.start_soon(call, two)
                await counting.entered.wait()
                leaving.cancel_scope.cancel()
            assert (await two.call("fs_write", {}, key="k")).code == "UNCERTAIN"
            counting.gate.set()
    assert (outcomes, counting.cancelled) == (["OK"], 1)


async def test_a_grant_for_an_ended_run_or_a_run_that_is_no_child_is_refused(
    socket: Path, database: Database, minting: Any, new_run: Any, counting: Counting
) -> None:
    ended = await new_run()
    async with database.transaction() as session:
        ended.status = "succeeded"
        await session.merge(ended)
    async with ToolSession(socket, minting.token(ended)) as tools:
        assert (await tools.call("fs_write", {}, key="k")).code == "CONFLICT"
    assert counting.ran == 0
