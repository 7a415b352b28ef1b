"""Cleaning up: leftovers that the test makes go, what is in use or another's stays."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.sandbox.conftest import Opened

from hypercode.domain.ids import new_id
from hypercode.sandbox.apps import AppRef, AppsOf, BuildImage, ImageRef, RunApp
from hypercode.sandbox.base import ExecRequest, OpenWorkspace, Profile, StartSandbox
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.sandbox.names import TTL_S, image_tag, labels_of, workspace_volumes
from hypercode.settings import SandboxSettings

pytestmark = [pytest.mark.anyio, pytest.mark.docker]
INSTANCE = "reaper-tests"


@pytest.fixture
async def other(anyio_backend: str) -> AsyncIterator[DockerSandboxes]:
    other = DockerSandboxes(SandboxSettings(), instance=INSTANCE)
    yield other
    await other.purge(images=True)
    await other.close()


async def test_leftovers_go_and_the_rest_stays(
    other: DockerSandboxes, sandboxes: DockerSandboxes, agent: str, repository: str
) -> None:
    kept, lost = new_id("workspace"), new_id("workspace")
    boxes: dict[str, str] = {}
    for workspace in (kept, lost):
        await other.open_workspace(
            OpenWorkspace(
                workspace_id=workspace,
                project_id="p-reaper",
                source_kind="local_path",
                source=str(repository),
            )
        )
        start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=workspace)
        boxes[workspace] = (await other.start(start)).sandbox_id
    engine = other._engine
    old = f"hypercode-check-{new_id('workspace')}"
    await engine.create_volume(old, labels_of(INSTANCE, "check", "x", lost))
    # A workspace that was closed by halves: its container is still there.
    await other._containers.close()
    await engine.remove(boxes[lost])
    tree, gitdir = workspace_volumes(lost)
    await engine.remove_volume(gitdir)
    await engine.create_volume(gitdir, {})
    again = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=lost)
    assert (await other.start(again)).sandbox_id == boxes[lost]

    assert await other.sweep(time.time()) == 1
    assert await engine.inspect(boxes[lost]) is None
    assert (await other.exec(boxes[kept], ExecRequest(argv=["true"]))).exit_code == 0
    assert await engine.has_volume(old)

    assert await other.sweep(time.time() + 2 * 3600) == 1
    assert not await engine.has_volume(old)
    assert await engine.inspect(boxes[kept]) is not None
    assert await other.sweep(time.time() + TTL_S + 3600) == 1
    assert await engine.inspect(boxes[kept]) is None
    assert await engine.has_volume(workspace_volumes(kept)[0])
    await engine.remove_volume(tree)
    await engine.remove_volume(gitdir)

    assert await other.purge(images=True) >= 3
    assert not await engine.has_volume(workspace_volumes(kept)[0])
    assert await engine.containers(f"dev.hypercode.instance={INSTANCE}") == []
    assert (await sandboxes.exec(agent, ExecRequest(argv=["true"]))).exit_code == 0


async def test_shared_volumes_that_another_installation_removed_are_made_again(
    sandboxes: DockerSandboxes, open_workspace: Opened, repository: str
) -> None:
    runtime = await sandboxes._runtime.ensure()
    await sandboxes._engine.remove_volume(f"{runtime.mounts[1].source}.ready")
    info = await open_workspace(repository)
    start = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=info.workspace_id)
    assert (await sandboxes.start(start)).sandbox_id
    assert await sandboxes._engine.has_volume(f"{runtime.mounts[1].source}.ready")


async def test_images_and_containers_of_agents_go_with_their_run_and_deployments_when_their_time_is_over(
    other: DockerSandboxes, repository: Path
) -> None:
    (repository / "Dockerfile").write_text('FROM python:3.13-slim\nCOPY calc.py /\nCMD ["sleep", "inf"]\n')
    workspace, run, task = new_id("workspace"), new_id("run"), new_id("task")
    await other.open_workspace(
        OpenWorkspace(
            workspace_id=workspace, project_id="p-reaper", source_kind="local_path", source=str(repository),
            include_dirty=True,
        )
    )  # fmt: skip
    kept, unused = new_id("image"), new_id("image")

    async def progress(_phase: str, _message: str) -> None:
        return

    for image in (kept, unused):
        built = await other.apps.build(
            BuildImage(image_id=image, run_id=run, workspace_id=workspace), progress
        )
        assert built.failed is None, built.log
    ref = ImageRef(name=kept, run_id=run)
    mine, deployed = new_id("container"), new_id("container")
    await other.apps.run(RunApp(container_id=mine, kind="app", owner=run, workspace_id=workspace, image=ref))
    await other.apps.run(RunApp(container_id=deployed, kind="deployment", owner=task, image=ref))
    assert await other.sweep(time.time()) == 0

    await other.close_workspace(workspace)
    assert (await other.apps.owned(AppsOf(owner=run))).containers == []
    assert (await other.apps.show(AppRef(container_id=deployed, owner=task))).status == "running"
    engine = other._engine
    assert await engine.image(image_tag(unused)) is None
    assert await engine.image(image_tag(kept)) is not None

    assert await other.sweep(time.time()) == 0
    assert await other.sweep(time.time() + 25 * 3600) >= 2
    assert (await other.apps.owned(AppsOf(owner=task))).containers == []
    assert await engine.image(image_tag(kept)) is None
