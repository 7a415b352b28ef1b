"""What each verb of /platform does: pass on to sandboxd, and keep the run's row true."""

from sqlalchemy import select, update

from hypercode.domain.environment import Environment
from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.platform_api import types as api
from hypercode.sandbox.base import (
    BuildEnvironment,
    CheckRequest,
    OpenWorkspace,
    Profile,
    Progress,
    Sandboxes,
    StartSandbox,
)
from hypercode.store.database import Database
from hypercode.store.tables import RunRow
from hypercode.tools.detection import detect_checks
from hypercode.tools.secrets import Secrets


class PlatformWork:
    """The verbs. Each holds the request against the run that it names."""

    def __init__(self, database: Database, sandboxes: Sandboxes, secrets: Secrets) -> None:
        self._database = database
        self._sandboxes = sandboxes
        self._secrets = secrets

    async def workspace_open(self, request: api.WorkspaceOpen) -> api.WorkspaceOpened:
        """Make the run's workspace."""
        run = await self._run_of(request.run_id, request.workspace_id)
        if request.project_id != run.project_id:
            raise InvalidArgument("the run is not of this project")
        asked = OpenWorkspace(**request.model_dump(exclude={"run_id"}))
        if request.from_snapshot is not None:
            asked = asked.model_copy(update={"commit": await self._base_of(request)})
        opened = await self._sandboxes.open_workspace(asked)
        return api.WorkspaceOpened(**opened.model_dump())

    async def workspace_close(self, request: api.WorkspaceClose) -> None:
        """Remove the run's containers and volumes."""
        await self._run_of(request.run_id, request.workspace_id)
        await self._sandboxes.close_workspace(request.workspace_id)
        await self._secrets.forget(request.run_id)
        await self._set_sandbox(request.run_id, None)

    async def environment_build(self, request: api.EnvironmentBuild, progress: Progress) -> Environment:
        """Build or find the environment of the workspace's base commit."""
        await self._run_of(request.run_id, request.workspace_id)
        built = BuildEnvironment(
            workspace_id=request.workspace_id, project_id=request.project_id, settings=request.settings
        )
        return await self._sandboxes.build_environment(built, progress)

    async def sandbox_open(self, request: api.SandboxOpen) -> api.SandboxOpened:
        """Start the run's container, and let the run's tool calls go there."""
        await self._run_of(request.run_id, request.workspace_id)
        info = await self._sandboxes.start(
            StartSandbox(
                profile=Profile.AGENT,
                owner=request.run_id,
                workspace_id=request.workspace_id,
                image=request.image,
                read_only_workspace=request.read_only,
            )
        )
        await self._set_sandbox(request.run_id, info.sandbox_id)
        return api.SandboxOpened(sandbox_id=info.sandbox_id, phases_ms=info.phases_ms)

    async def sandbox_close(self, request: api.SandboxClose) -> None:
        """Stop the run's container; nothing to stop is fine."""
        run = await self._run(request.run_id)
        if run.sandbox_id is not None:
            await self._sandboxes.stop(run.sandbox_id)
            await self._set_sandbox(request.run_id, None)

    async def checks_detect(self, request: api.ChecksDetect) -> api.ChecksDetected:
        """Find the checks of the project in the run's container."""
        run = await self._run_of(request.run_id, request.workspace_id)
        if run.sandbox_id is None:
            raise InvalidArgument("the run has no sandbox yet", hint="Open the sandbox before.")
        return await detect_checks(self._sandboxes, run.sandbox_id)

    async def diff_export(self, request: api.DiffExport) -> api.DiffExported:
        """Commit the work tree and compare it with the base commit; raises SecretInDiff."""
        await self._run_of(request.run_id, request.workspace_id)
        diff = await self._sandboxes.export_diff(request.workspace_id, request.message)
        await self._secrets.check_diff(request.run_id, diff.diff)
        return api.DiffExported(**diff.model_dump())

    async def diff_apply(self, request: api.DiffApply) -> None:
        """Apply a child's diff to the run's workspace."""
        await self._run_of(request.run_id, request.workspace_id)
        await self._sandboxes.apply_diff(request.workspace_id, request.diff)

    async def text_redact(self, request: api.TextRedact) -> api.TextRedacted:
        """Take the values that the run was given out of a text."""
        await self._secrets.prepare(request.run_id)
        redactor = self._secrets.redactor(request.run_id)
        text = redactor.growing(request.text) if request.grows else redactor.text(request.text)
        return api.TextRedacted(text=text)

    async def check_run(self, request: api.CheckRun) -> api.CheckRan:
        """Run one check in a fresh container that no agent ever touched."""
        await self._run_of(request.run_id, request.workspace_id)
        ran = await self._sandboxes.check(CheckRequest(**request.model_dump(exclude={"run_id"})))
        return api.CheckRan(**ran.model_dump())

    async def _base_of(self, request: api.WorkspaceOpen) -> str:
        """The commit that the origin of a fork started from; raises NotFound, also for another project's."""
        async with self._database.transaction() as session:
            origin = await session.scalar(select(RunRow).where(RunRow.workspace_id == request.from_workspace))
        if origin is None or origin.project_id != request.project_id or origin.base_commit is None:
            raise NotFound(f"there is no workspace {request.from_workspace} to start from")
        return origin.base_commit

    async def _run_of(self, run_id: str, workspace_id: str) -> RunRow:
        run = await self._run(run_id)
        if run.workspace_id != workspace_id:
            raise InvalidArgument("the workspace is not the run's")
        return run

    async def _run(self, run_id: str) -> RunRow:
        async with self._database.transaction() as session:
            run = await session.get(RunRow, run_id)
        if run is None:
            raise NotFound(f"there is no run {run_id}")
        return run

    async def _set_sandbox(self, run_id: str, sandbox_id: str | None) -> None:
        async with self._database.transaction() as session:
            await session.execute(update(RunRow).where(RunRow.id == run_id).values(sandbox_id=sandbox_id))
