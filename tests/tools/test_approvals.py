"""A call that a rule wants approved passes by exactly the approval that was given for it, and by nothing else."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from sqlalchemy import select, update

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.tool_call import Touched
from hypercode.events import log
from hypercode.mcp_protocol.schemas import Arguments, Closed, WorkspacePath
from hypercode.sandbox.base import Sandboxes
from hypercode.store.audit import read_audit, verify_chain
from hypercode.store.database import Database
from hypercode.store.tables import ApprovalRow, RunRow
from hypercode.tools.app import create_app
from hypercode.tools.keys import PlatformKeys
from hypercode.tools.registry import Registry, Tool, ToolContext, ToolReply

pytestmark = pytest.mark.anyio
CI = {"path": ".github/workflows/ci.yml", "content": "on: push\n"}
Act = Callable[..., Awaitable[None]]


class Write(Arguments):
    path: WorkspacePath
    content: str

    def touched(self) -> Touched:
        return Touched(paths=(self.path,), size=len(self.content))


class Written(Closed):
    times: int


class Writing:
    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, context: ToolContext, args: Write) -> ToolReply:
        self.ran.append(args.content)
        return ToolReply(Written(times=len(self.ran)), "written")


@pytest.fixture
async def writing() -> Writing:
    return Writing()


@pytest.fixture
async def socket(
    writing: Writing, database: Database, keys: PlatformKeys, sockets: Path, listening: Any
) -> AsyncIterator[Path]:
    tool = Tool("fs_write", "Write.", Write, Written, writing.run, read_only=False, destructive=True)
    apps = create_app(database, cast(Sandboxes, None), keys, Registry([tool]))
    path = sockets / "tools.sock"
    async with listening(apps.mcp, path):
        yield path


async def decide(database: Database, approval_id: str, **columns: Any) -> None:
    """What a person's decision leaves in the row; deciding itself is tested in tests/gateway."""
    values = {
        "state": "approved",
        "scope": "once",
        "decided_by": "usr_x",
        "decided_at": datetime.now(UTC),
        **columns,
    }
    async with database.transaction() as session:
        await session.execute(update(ApprovalRow).where(ApprovalRow.id == approval_id).values(**values))


async def ask(tools: ToolSession, key: str, **changed: str) -> str:
    outcome = await tools.call("fs_write", {**CI, **changed}, key=key)
    assert outcome.code == "PENDING_APPROVAL", outcome.text
    return outcome.data["approval_id"]


async def test_an_approved_call_passes_once(
    writing: Writing, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    async with ToolSession(socket, minting.token(run)) as tools:
        approval = await ask(tools, "k1")
        assert await ask(tools, "k1") == approval  # the journal's answer
        assert await ask(tools, "k2") == approval  # the same call under another key: nobody is asked twice
        assert writing.ran == []
        await decide(database, approval)
        done = await tools.call("fs_write", CI, key="k3")
        assert done.ok, done.text
        assert (await tools.call("fs_write", CI, key="k3")).data == done.data
        assert await ask(tools, "k4") != approval
    assert writing.ran == ["on: push\n"]
    async with database.transaction() as session:
        row = await session.get_one(ApprovalRow, approval)
        events = await log.read(session, run.id)
        rows = await read_audit(session, run.id)
        assert (await verify_chain(session, run.id)).ok
    assert (row.state, row.used_key) == ("used", "k3")
    assert row.rule == "coder.asks_for_protected_paths"
    assert row.touched["paths"] == [CI["path"]]
    assert [event.type for event in events] == ["approval.requested"] * 2
    assert events[0].payload["preview"] == {
        "kind": "diff",
        "text": "+++ .github/workflows/ci.yml\n+on: push\n+",
    }
    decisions = [row.body for row in rows if row.kind == "decision"]
    assert [(body["effect"], body["approval"], body.get("approved_by")) for body in decisions[:3]] == [
        ("ask", approval, None),
        ("ask", approval, None),
        ("ask", approval, "usr_x"),
    ]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"arguments_sha256": "0" * 64, "binding": "0" * 64}, "given for other arguments"),
        ({"policy_sha256": "0" * 64, "binding": "1" * 64}, "given under another policy"),
        ({"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, "expired"),
        ({"state": "used", "used_key": "another"}, "used before"),
        ({"state": "withdrawn"}, "taken back"),
        ({"state": "expired"}, "given up"),
    ],
)
async def test_no_other_approval_lets_it_pass(
    writing: Writing, socket: Path, database: Database, minting: Any, new_run: Any, changed: Any, why: str
) -> None:
    run = await new_run()
    async with ToolSession(socket, minting.token(run)) as tools:
        approval = await ask(tools, "k1")
        await decide(database, approval, **changed)
        assert await ask(tools, "k2") != approval, why
    assert writing.ran == []


async def test_a_refused_call_is_not_asked_again(
    writing: Writing, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    async with ToolSession(socket, minting.token(run)) as tools:
        await decide(database, await ask(tools, "k1"), state="denied", note="Leave CI alone.")
        outcome = await tools.call("fs_write", CI, key="k2")
        assert outcome.code == "POLICY_DENIED"
        assert "Leave CI alone." in outcome.text
        await ask(tools, "k3", content="on: pull_request\n")
    assert writing.ran == []


async def test_a_standing_approval_reaches_its_like_and_no_further(
    writing: Writing, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run, stranger = await new_run(), await new_run()
    async with database.transaction() as session:
        child = await new_run(parent=await session.get_one(RunRow, run.id))
    async with ToolSession(socket, minting.token(run)) as tools:
        await decide(database, await ask(tools, "k1"), scope="task")
        assert (await tools.call("fs_write", {**CI, "content": "longer\n"}, key="k2")).ok
        assert (await tools.call("fs_write", {**CI, "content": "again\n"}, key="k3")).ok
        await ask(tools, "k4", path=".github/workflows/other.yml")
    async with ToolSession(socket, minting.token(child)) as tools:
        assert (await tools.call("fs_write", CI, key="k1")).ok
    async with ToolSession(socket, minting.token(stranger)) as tools:
        await ask(tools, "k1")
    assert len(writing.ran) == 3


async def test_two_calls_at_once_use_one_approval_once(
    writing: Writing, socket: Path, database: Database, minting: Any, new_run: Any
) -> None:
    run = await new_run()
    codes: list[str] = []
    async with ToolSession(socket, minting.token(run)) as one, ToolSession(socket, minting.token(run)) as two:
        await decide(database, await ask(one, "k1"))

        async def call(tools: ToolSession, key: str) -> None:
            codes.append((await tools.call("fs_write", CI, key=key)).code)

        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(call, (one, two)[number % 2], f"many{number}")
    assert sorted(codes) == ["OK", *["PENDING_APPROVAL"] * 3]
    assert len(writing.ran) == 1
    async with database.transaction() as session:
        states = await session.scalars(select(ApprovalRow.state).where(ApprovalRow.run_id == run.id))
        assert sorted(states) == ["pending", "used"]


async def test_what_nobody_would_read_to_its_end_is_not_asked(
    writing: Writing, socket: Path, minting: Any, new_run: Any
) -> None:
    async with ToolSession(socket, minting.token(await new_run())) as tools:
        outcome = await tools.call("fs_write", {**CI, "content": "x" * 70_000}, key="k1")
    assert outcome.code == "TOO_LARGE"
    assert writing.ran == []
