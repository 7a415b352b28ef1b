"""The tools at work on a small project, and the platform's own verbs beside them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import httpx2
import pytest

from hypercode.agents.mcp_client import ToolSession
from hypercode.domain.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from hypercode.domain.role import AgentRole
from hypercode.platform_api import types as api
from hypercode.platform_api.client import PlatformClient
from hypercode.policy.grants import verify
from hypercode.sandbox.meters import CGROUPS, PLACES
from hypercode.store.budgets import accounts_of, read_accounts
from hypercode.store.database import Database
from hypercode.store.tables import RunRow

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


async def test_files_are_read_edited_searched_and_listed(hands: Any) -> None:
    wrote = await hands.call("fs_write", path="pkg/a.txt", content="one\ntwo\nthree\n", create_dirs=True)
    read = await hands.call("fs_read", path="pkg/a.txt", start_line=2, max_lines=1)
    assert (read.data["content"], read.data["total_lines"], read.data["truncated"]) == ("two\n", 3, True)
    assert read.data["sha256"] == wrote.data["sha256"]
    edits = [{"old": "two", "new": "2"}, {"old": "2\nthree", "new": "2\n3"}]
    dry = await hands.call("fs_edit", path="pkg/a.txt", edits=edits, dry_run=True)
    assert (dry.data["applied"], dry.data["sha256"]) == (False, wrote.data["sha256"])
    done = await hands.call("fs_edit", path="pkg/a.txt", edits=edits, if_sha256=wrote.data["sha256"])
    assert (
        done.data["diff"] == "--- a/pkg/a.txt\n+++ b/pkg/a.txt\n@@ -1,3 +1,3 @@\n one\n-two\n-three\n+2\n+3\n"
    )
    stale = await hands.call("fs_edit", path="pkg/a.txt", edits=edits, if_sha256=wrote.data["sha256"])
    twice = await hands.call(
        "fs_edit",
        path="pkg/a.txt",
        edits=[{"old": "2", "new": "x"}, {"old": "o", "new": "y", "expected_count": 2}],
    )
    exists = await hands.call("fs_write", path="pkg/a.txt", content="", if_sha256="")
    assert [stale.code, twice.code, exists.code] == ["CONFLICT"] * 3
    assert await hands.shell("cat pkg/a.txt") == "one\n2\n3\n"
    found = await hands.call("fs_search", pattern="^[23]$", regex=True, globs=["pkg/**"])
    assert [(hit["path"], hit["line"]) for hit in found.data["matches"]] == [
        ("pkg/a.txt", 2),
        ("pkg/a.txt", 3),
    ]
    tree = await hands.call("fs_tree", path="pkg", include_sizes=True)
    assert tree.data["entries"] == [{"path": "pkg/a.txt", "kind": "file", "size": 8}]
    assert (await hands.call("fs_read", path="pkg/none.txt")).code == "NOT_FOUND"


async def test_a_failing_test_is_found_repaired_and_passes(hands: Any) -> None:
    said: list[str] = []

    async def on_progress(message: str) -> None:
        said.append(message)

    with anyio.fail_after(120):
        before = await hands.tools.call("test_run", {}, key="before", on_progress=on_progress)
        assert before.data["reported"], before.text
        assert before.data["summary"] | {"duration_s": 0} == {
            "passed": 1,
            "failed": 1,
            "errors": 0,
            "skipped": 0,
            "duration_s": 0,
        }
        assert [failure["id"] for failure in before.data["failures"]] == ["tests/test_calc.py::test_add"]
        assert said == ["running the tests", "1 passed, 1 failed, 0 errors, 0 skipped"]
        search = await hands.call("repair_failing_test", budget_s=30, paths=["calc.py"])
        assert search.ok, search.text
        assert search.data["status"] == "found", search.text
        patch = search.data["patches"][0]
        assert (patch["path"], patch["fixes"]) == ("calc.py", ["tests/test_calc.py::test_add"])
        assert (
            await hands.call(
                "fs_edit", path="calc.py", edits=[{k: e[k] for k in ("old", "new")} for e in patch["edits"]]
            )
        ).ok
        after = await hands.call("test_run", targets=["tests/test_calc.py::test_add"])
    assert (after.data["exit_code"], after.data["summary"]["passed"]) == (0, 1)
    status = await hands.call("git_status")
    assert {"path": "calc.py", "status": "modified"} in status.data["changes"]
    diff = await hands.call("git_diff", paths=["calc.py"])
    assert "+    return a + b" in diff.data["diff"]


async def test_tests_that_can_not_be_collected_say_so(hands: Any) -> None:
    await hands.shell("mkdir -p broken && echo 'import nowhere_to_be_found' > broken/test_x.py")
    broken = await hands.call("test_run", targets=["broken"])
    assert broken.data["summary"]["errors"] == 1
    assert broken.data["failures"][0]["id"] == "broken/test_x.py"
    assert "nowhere_to_be_found" in broken.text
    missing = await hands.call("test_run", targets=["tests/none.py"])
    assert missing.data["exit_code"] == 4
    other = await hands.call("test_run", command=["sh", "-c", "echo built; exit 3"])
    assert (other.data["reported"], other.data["exit_code"]) == (False, 3)
    assert "built" in other.text
    assert (await hands.call("test_run", targets=["-p", "evil"])).code == "INVALID_ARGUMENT"


async def test_the_platforms_verbs(hands: Any, keys: Any, new_run: Any) -> None:
    run, platform = hands.run, hands.platform
    ids = {"run_id": run.id, "workspace_id": run.workspace_id}
    found = await platform.checks_detect(api.ChecksDetect(**ids, base_commit=""))
    assert found.checks[0].argv == ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    exported = await platform.diff_export(api.DiffExport(**ids, message="so far"))
    assert "calc.py" in exported.files
    with pytest.raises(InvalidArgument, match="not the run's"):
        await platform.diff_export(api.DiffExport(run_id=run.id, workspace_id="wsp_other", message="x"))
    with pytest.raises(NotFound):
        await platform.sandbox_close(api.SandboxClose(run_id="run_none"))
    check = api.CheckRun(
        **ids,
        commit="HEAD",
        image="x",
        argv=["true"],
        env={},
        timeout_s=5,
        restore_paths=[],
        restore_paths_from=None,
        overlay={},
    )
    with pytest.raises(PermissionDenied):
        await platform.check_run(check)
    path = hands.socket.with_name("platform.sock")
    for key, error in (
        (keys.verifier, PermissionDenied),
        ("wrong", PermissionDenied),
        (hands.token, PermissionDenied),
    ):
        other = PlatformClient(path, key)
        with pytest.raises(error):
            await other.diff_export(api.DiffExport(**ids, message="x"))
        await other.close()
    async with httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=str(path))) as http:
        headers = {"Authorization": f"Bearer {keys.platform}"}
        extra = await http.post(
            "http://platform/platform/sandbox_close", json={"run_id": run.id, "x": 1}, headers=headers
        )
        assert (extra.status_code, extra.json()["code"]) == (400, "INVALID_ARGUMENT")
        assert (await http.post("http://platform/platform/sandbox_close", json={})).status_code == 401
        assert (await http.get("http://platform/healthz")).status_code == 200
        assert "python_info" in (await http.get("http://platform/metrics")).text
        # The agents' listener has no platform verbs, the platform's no MCP.
        assert (await http.post("http://platform/mcp/", json={}, headers=headers)).status_code == 404
    gone = PlatformClient(path.with_name("nobody.sock"), keys.platform)
    with pytest.raises(Unavailable):
        await gone.sandbox_close(api.SandboxClose(run_id=run.id))
    await gone.close()


PLAN = {
    "summary": "two steps",
    "items": [
        {"id": "one", "title": "First", "goal": "do the first"},
        {"id": "two", "title": "Second", "goal": "do the second", "depends_on": ["one"]},
    ],
}


DELEGATED = {"item_id": "one", "model": "scripted:x", "share": {"turns": 7}}


async def test_an_architect_plans_and_hands_items_on_once(
    hands: Any, minting: Any, new_run: Any, database: Database
) -> None:
    architect = await new_run(AgentRole.ARCHITECT)
    async with database.transaction() as session:
        row = await session.get(RunRow, architect.id)
        assert row is not None
        row.grant_token = minting.token(architect)
    async with ToolSession(hands.socket, minting.token(architect)) as tools:
        names = {spec.name for spec in await tools.list_tools()}
        assert {"plan_submit", "task_delegate"} <= names
        assert not names & {"fs_write", "sh_exec", "test_run"}
        early = await tools.call("task_delegate", {"item_id": "one"}, key="a")
        cyclic = await tools.call("plan_submit", {"summary": "x", "items": PLAN["items"][::-1]}, key="b")
        plan = await tools.call("plan_submit", PLAN, key="c")
        first = await tools.call("task_delegate", DELEGATED, key="d")
        again = await tools.call("task_delegate", {"item_id": "one"}, key="e")
        repeated = await tools.call("task_delegate", DELEGATED, key="d")
        blocked = await tools.call("task_delegate", {"item_id": "two"}, key="f")
        none = await tools.call("task_delegate", {"item_id": "three"}, key="g")
        status = await tools.call("plan_status", {}, key="h")
    assert [early.code, cyclic.code, again.code, blocked.code, none.code] == [
        "NOT_FOUND",
        "INVALID_ARGUMENT",
        "CONFLICT",
        "CONFLICT",
        "NOT_FOUND",
    ]
    assert "does not stand before it" in cyclic.text
    assert (plan.ok, plan.data["version"]) == (True, 1)
    assert first.ok, first.text
    assert repeated.data == first.data
    assert [(item["item_id"], item["run_id"], item["status"]) for item in status.data["items"]] == [
        ("one", first.data["run_id"], "queued"),
        ("two", None, "open"),
    ]
    async with database.transaction() as session:
        child = await session.get(RunRow, first.data["run_id"])
        assert child is not None
        accounts = await accounts_of(session, child.id, child.task_id)
        shares = await read_accounts(session, accounts)
    assert (child.parent_run_id, child.plan_item_id, child.model, child.role) == (
        architect.id,
        "one",
        "scripted:x",
        "coder",
    )
    assert [(share.id, share.limits.max_turns) for share in shares] == [(child.id, 7), (child.task_id, 200)]
    grant = verify(minting.public_hex, child.grant_token, datetime.now(UTC))
    assert (grant.run_id, grant.workspace_id, grant.lineage) == (
        child.id,
        child.workspace_id,
        (architect.id,),
    )
    assert grant.expires_at <= datetime.now(UTC) + timedelta(hours=1)
    async with ToolSession(hands.socket, child.grant_token) as tools:
        assert (await tools.call("sh_exec", {"script": "true"}, key="k")).code == "SANDBOX_DOWN"


async def test_a_call_says_what_its_sandbox_has_used(hands: Any) -> None:
    script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    readings = [await hands.call("sh_exec", script=each) for each in ("true", script, "true")]
    visible = any((CGROUPS / place).parent.parent.is_dir() for place in PLACES if "{id}/" in place)
    assert all((reading.cpu is not None) == visible for reading in readings)
    if not visible:
        return
    (first, second, third) = [reading.cpu for reading in readings]
    assert first.sandbox == second.sandbox == third.sandbox
    burnt = second.whole_us - first.whole_us
    assert 10_000 < burnt <= readings[1].duration_ms * 1000 * 2
    assert third.whole_us - second.whole_us < burnt
    assert (await hands.call("fs_read", path="nothing")).cpu == third
