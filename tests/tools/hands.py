"""A run's hands for tests: sandboxd on a real engine, the tools process before it, one open workspace."""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypercode.agents.intent import ToolOutcome
from hypercode.agents.mcp_client import ToolSession
from hypercode.platform_api import types as api
from hypercode.platform_api.client import PlatformClient
from hypercode.sandbox.client import SandboxClient
from hypercode.store.tables import RunRow

REVISION = os.environ.get("HYPERCODE_TEST_REVISION", "auto")
"""What the calls of the tests are spoken in; `make attacks` says "legacy" for its second round."""


@dataclass
class Hands:
    """One run, its tool session, and the platform's own client."""

    run: RunRow
    tools: ToolSession
    platform: PlatformClient
    socket: Path
    token: str
    sandboxes: SandboxClient
    _keys: "itertools.count[int]" = field(default_factory=itertools.count)

    async def call(self, tool: str, **arguments: Any) -> ToolOutcome:
        return await self.tools.call(tool, arguments, key=f"call-{next(self._keys)}")

    async def shell(self, script: str) -> str:
        """What a script prints; it has to go well."""
        outcome = await self.call("sh_exec", script=script)
        assert outcome.ok, outcome.text
        assert outcome.data["exit_code"] == 0, outcome.text
        return str(outcome.data["stdout"])


async def open_workspace(run: RunRow, source: Path, platform: PlatformClient) -> None:
    """Make the run's workspace from a folder, and start its sandbox."""
    await platform.workspace_open(
        api.WorkspaceOpen(
            run_id=run.id,
            workspace_id=run.workspace_id,
            project_id=run.project_id,
            source_kind="local_path",
            source=str(source),
        )
    )
    phases: list[str] = []

    async def progress(phase: str, message: str) -> None:
        phases.append(f"{phase}: {message}")

    built = await platform.environment_build(
        api.EnvironmentBuild(
            run_id=run.id, workspace_id=run.workspace_id, project_id=run.project_id, settings={}
        ),
        progress,
    )
    assert phases
    await platform.sandbox_open(
        api.SandboxOpen(run_id=run.id, workspace_id=run.workspace_id, image=built.image, read_only=False)
    )


@contextlib.asynccontextmanager
async def opened(
    run: RunRow, source: Path, platform: PlatformClient, socket: Path, token: str, sandboxes: SandboxClient
) -> AsyncIterator[Hands]:
    """Open the run's workspace from a folder and its sandbox, and close both at the end."""
    try:
        await open_workspace(run, source, platform)
        async with ToolSession(socket, token, mode=REVISION) as tools:
            yield Hands(run, tools, platform, socket, token, sandboxes)
    finally:
        await platform.workspace_close(api.WorkspaceClose(run_id=run.id, workspace_id=run.workspace_id))
