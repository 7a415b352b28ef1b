"""A real engine, and workspaces that are gone after each test."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hypercode.domain.ids import new_id
from hypercode.sandbox.base import (
    ExecRequest,
    ExecResult,
    OpenWorkspace,
    Profile,
    StartSandbox,
    WorkspaceInfo,
)
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.settings import SandboxSettings

Opened = Callable[..., Awaitable[WorkspaceInfo]]
Shell = Callable[..., Awaitable[ExecResult]]


def git(folder: Path, *args: str) -> str:
    identity = [
        "-c",
        "user.name=A Person",
        "-c",
        "user.email=person@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="session")
async def sandboxes(anyio_backend: str) -> AsyncIterator[DockerSandboxes]:
    sandboxes = DockerSandboxes(SandboxSettings(), instance="tests")
    yield sandboxes
    await sandboxes.close()


@pytest.fixture
async def open_workspace(sandboxes: DockerSandboxes) -> AsyncIterator[Opened]:
    opened: list[str] = []
    project = new_id("project")

    async def open_one(source: Path | str, **more: object) -> WorkspaceInfo:
        workspace = new_id("workspace")
        opened.append(workspace)
        fields = {"source_kind": "local_path", "project_id": project, **more}
        return await sandboxes.open_workspace(
            OpenWorkspace.model_validate({"workspace_id": workspace, "source": str(source), **fields})
        )

    yield open_one
    for workspace in opened:
        await sandboxes.close_workspace(workspace)
    for kind in ("mirror", "snapshots"):
        await sandboxes._engine.remove_volume(f"hypercode-{kind}-{project}")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "tests").mkdir(parents=True)
    (folder / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    (folder / "tests/test_calc.py").write_text(
        "import calc\n\n\ndef test_add():\n    assert calc.add(1, 2) == 3\n"
    )
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "First")
    return folder


@pytest.fixture
async def agent(sandboxes: DockerSandboxes, open_workspace: Opened, repository: Path) -> str:
    info = await open_workspace(repository)
    request = StartSandbox(profile=Profile.AGENT, owner="run", workspace_id=info.workspace_id)
    return (await sandboxes.start(request)).sandbox_id


@pytest.fixture
def shell(sandboxes: DockerSandboxes, agent: str) -> Shell:
    async def run(line: str, **more: object) -> ExecResult:
        request = ExecRequest.model_validate({"argv": ["sh", "-c", line], "timeout_s": 60, **more})
        return await sandboxes.exec(agent, request)

    return run
