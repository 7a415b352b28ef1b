"""Comparing, checking and pruning snapshots of workspaces that are closed, and a helper that is killed."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sandbox.conftest import git

from hypercode.domain.errors import NotFound
from hypercode.domain.ids import new_id
from hypercode.sandbox.base import ExecRequest, OpenWorkspace, Profile, StartSandbox
from hypercode.sandbox.containers import sandbox_name
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.worktrees import (
    CheckSnapshot,
    CompareSnapshots,
    PruneSnapshots,
    RestoreSnapshot,
    SnapshotRef,
    SnapshotsOf,
    TakeSnapshot,
)

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

STEPS = (
    "true",
    r"printf 'a\0b' > binary; echo one >> calc.py; mkdir empty; ln -s calc.py link; chmod +x calc.py",
    "rm calc.py; echo '*.log' > .gitignore; echo said > debug.log",
)


class Project:
    """A project with one workspace, and a snapshot after each step."""

    def __init__(self, sandboxes: DockerSandboxes) -> None:
        self.sandboxes = sandboxes
        self.id, self.workspace = new_id("project"), new_id("workspace")
        self.snapshots: list[SnapshotRef] = []
        self.image = ""

    async def open(self, source: Path) -> None:
        await self.sandboxes.open_workspace(
            OpenWorkspace(
                workspace_id=self.workspace, project_id=self.id, source_kind="local_path", source=str(source)
            )
        )
        start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=self.workspace)
        agent = await self.sandboxes.start(start)
        self.image = agent.image_id
        for number, script in enumerate(STEPS):
            request = ExecRequest(argv=["sh", "-c", script])
            assert (await self.sandboxes.exec(agent.sandbox_id, request)).exit_code == 0
            taken = await self.sandboxes.snapshot_take(
                TakeSnapshot(workspace_id=self.workspace, key=str(number))
            )
            self.snapshots.append(SnapshotRef(workspace_id=self.workspace, snapshot_id=taken.snapshot_id))


@pytest.fixture(scope="module")
async def project(
    sandboxes: DockerSandboxes, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Project]:
    source = tmp_path_factory.mktemp("source")
    (source / "calc.py").write_text("zero\n")
    git(source, "init", "-q", "-b", "main")
    git(source, "add", "-A")
    git(source, "commit", "-q", "-m", "First")
    made = Project(sandboxes)
    try:
        await made.open(source)
        yield made
    finally:
        await sandboxes.close_workspace(made.workspace)
        for kind in ("mirror", "snapshots"):
            await sandboxes._engine.remove_volume(f"hypercode-{kind}-{made.id}")


async def test_a_helper_that_is_killed_is_started_again(sandboxes: DockerSandboxes, project: Project) -> None:
    helper = sandbox_name(Profile.HELPER, "", project.workspace)
    restore = RestoreSnapshot(
        workspace_id=project.workspace, snapshot_id=project.snapshots[0].snapshot_id, key="back"
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(sandboxes._engine.call(f"containers/{helper}/kill", "POST"))
        restored = group.create_task(sandboxes.snapshot_restore(restore))
    undo = restored.result().undo_id
    assert (await sandboxes.snapshot_restore(restore)).undo_id == undo
    taken = await sandboxes.snapshot_take(TakeSnapshot(workspace_id=project.workspace, key="after"))
    compare = CompareSnapshots(
        project_id=project.id,
        old=project.snapshots[0],
        new=SnapshotRef(workspace_id=project.workspace, snapshot_id=taken.snapshot_id),
    )
    assert (await sandboxes.snapshot_compare(compare)).files == []
    await sandboxes.snapshot_restore(RestoreSnapshot(workspace_id=project.workspace, snapshot_id=undo))


async def test_any_two_are_compared(sandboxes: DockerSandboxes, project: Project) -> None:
    first, second, third = project.snapshots

    async def compared(old: SnapshotRef, new: SnapshotRef) -> tuple[str, dict[str, str]]:
        found = await sandboxes.snapshot_compare(CompareSnapshots(project_id=project.id, old=old, new=new))
        assert not found.truncated
        return found.diff, dict(found.files)

    diff, files = await compared(first, second)
    assert files == {"binary": "added", "calc.py": "modified", "empty": "added", "link": "added"}
    assert "+one\n" in diff
    assert re.findall("(?m)^diff --git .*", diff) == [
        f"diff --git a/{name} b/{name}" for name in ("binary", "calc.py", "link")
    ]
    assert "old mode 100644\nnew mode 100755\n" in diff
    assert "Binary files /dev/null and b/binary differ" in diff
    assert "new file mode 120000" in diff
    diff, files = await compared(third, first)
    assert files["calc.py"] == "added"
    assert files["debug.log"] == "deleted"
    assert await compared(first, first) == ("", {})


async def test_a_command_runs_on_a_copy(sandboxes: DockerSandboxes, project: Project) -> None:
    async def exit_code(number: int, script: str) -> int | None:
        checked = await sandboxes.snapshot_check(
            CheckSnapshot(
                project_id=project.id,
                snapshot=project.snapshots[number],
                image=project.image,
                argv=["sh", "-c", script],
            )
        )
        return checked.exit_code

    assert await exit_code(1, "grep -q one calc.py && test -d empty && rm -r calc.py empty") == 0
    assert await exit_code(1, "grep -q one calc.py && test -d empty") == 0
    assert await exit_code(2, "test -e calc.py") == 1


async def test_what_is_pruned_is_gone_and_the_rest_is_whole(
    sandboxes: DockerSandboxes, project: Project
) -> None:
    """Last: the workspace is closed."""
    await sandboxes.close_workspace(project.workspace)
    known = (await sandboxes.snapshot_names(SnapshotsOf(project_id=project.id))).names
    assert {each.snapshot_id for each in project.snapshots} <= set(known[project.workspace])
    keep = project.snapshots[1].snapshot_id
    drop = {project.workspace: [each for each in known[project.workspace] if each != keep]}
    young = await sandboxes.snapshot_prune(PruneSnapshots(project_id=project.id, drop=drop))
    assert young.names == 0
    pruned = await sandboxes.snapshot_prune(PruneSnapshots(project_id=project.id, drop=drop, older_than_s=0))
    assert pruned.names >= 1
    first, second, third = project.snapshots
    found = await sandboxes.snapshot_compare(CompareSnapshots(project_id=project.id, old=first, new=second))
    assert found.total == 4
    with pytest.raises(NotFound):
        await sandboxes.snapshot_compare(CompareSnapshots(project_id=project.id, old=second, new=third))
    assert (await sandboxes.snapshot_names(SnapshotsOf(project_id=new_id("project")))).names == {}
