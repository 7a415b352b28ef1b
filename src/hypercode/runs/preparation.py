"""Everything before the agent: workspace, environment, frozen checks, container."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.budget import Budget
from hypercode.domain.check import Check, CheckReport
from hypercode.domain.environment import Environment
from hypercode.domain.errors import EnvironmentFailed, PointUnreachable
from hypercode.domain.event import (
    ChecksFrozen,
    EnvironmentPhaseChanged,
    EnvironmentPrepared,
    NoticeRaised,
    Payload,
    RunStarted,
    RunStatusChanged,
    SandboxStarted,
)
from hypercode.domain.project import EnvironmentSettings
from hypercode.domain.role import AgentRole
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.events.eras import in_era
from hypercode.platform_api import types as api
from hypercode.runs.eras import line_to, snapshot_on
from hypercode.runs.services import Services
from hypercode.runs.waiting import Park
from hypercode.store.runs import get_run, get_task_of, locked_run
from hypercode.store.tables import ProjectRow, RunRow


class RunFacts(BaseModel):
    """What never changes in a run, read once."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    task_id: str
    project_id: str
    workspace_id: str
    parent_run_id: str | None
    parent_workspace_id: str | None
    from_snapshot: str | None = None
    plan_item_id: str | None
    role: AgentRole
    model: str
    goal: str
    checks: list[str]
    require: str
    budget: Budget
    include_dirty: bool
    source_kind: str
    source: str
    environment: EnvironmentSettings


BEGUN = RunStatusChanged(status=RunStatus.RUNNING, wait_reason=None, detail="Preparing the workspace")


async def begin(services: Services, run_id: str, segment: int) -> dict[str, Any]:
    """Read the run's facts and say that a worker took it up."""
    async with services.database.transaction() as session:
        run = await locked_run(session, run_id)
        if run.ended_at is not None or run.parked_at is not None or run.segment != segment:
            raise Park  # cancelled or paused while it stood in the queue
        task = await get_task_of(session, run)
        project = await session.get_one(ProjectRow, run.project_id)
        source, snapshot_id = await _source_of(session, run)
        facts = RunFacts(
            run_id=run.id,
            task_id=run.task_id,
            project_id=run.project_id,
            workspace_id=run.workspace_id,
            parent_run_id=run.parent_run_id,
            parent_workspace_id=source.workspace_id if source else None,
            from_snapshot=snapshot_id,
            plan_item_id=run.plan_item_id,
            role=AgentRole(run.role),
            model=run.model,
            goal=run.goal,
            checks=[str(check) for check in task.checks],
            require=task.require,
            budget=Budget.model_validate(task.budget),
            include_dirty=task.include_dirty,
            source_kind=project.source_kind,
            source=project.source,
            environment=EnvironmentSettings.model_validate(project.environment),
        )
        run.status, run.started_at = RunStatus.RUNNING.value, datetime.now(UTC)
        await log.append(session, run.id, "begin", [BEGUN])
    return facts.model_dump(mode="json")


async def _source_of(session: AsyncSession, run: RunRow) -> tuple[RunRow | None, str | None]:
    """The run whose workspace this one's is made from: as it is now for a child, as it was for a fork."""
    if run.parent_run_id is not None:
        return await get_run(session, run.parent_run_id), None
    if run.forked_from is None or run.forked_at_seq is None:
        return None, None
    origin = await get_run(session, run.forked_from)
    snapshot = await snapshot_on(session, origin, run.forked_at_seq)
    if snapshot is None:
        raise PointUnreachable(
            f"The workspace of event {run.forked_at_seq} is gone.", hint="Retry the run from scratch instead."
        )
    return origin, snapshot.snapshot_id


async def restore(services: Services, facts: RunFacts) -> dict[str, Any]:
    """Make the workspace what it was at the event that this era goes on from; what was there can be gone back to."""
    async with services.database.transaction() as session:
        run = await get_run(session, facts.run_id)
        base = (await line_to(session, run, None))[1].to or 0
        snapshot = await snapshot_on(session, run, base)
    if snapshot is None:
        raise PointUnreachable(
            f"The workspace of event {base} is gone.", hint="Rewind to another event, or retry the run."
        )
    restored = await services.platform.snapshot_restore(
        facts.run_id, facts.workspace_id, snapshot.snapshot_id, key=in_era("restore")
    )
    return {"snapshot_id": snapshot.snapshot_id, "undo_id": restored.undo_id, "changed": restored.changed}


async def open_workspace(services: Services, facts: RunFacts) -> dict[str, Any]:
    """Make the run's own copy of the project; the project itself is only read."""
    opened = await services.platform.workspace_open(
        api.WorkspaceOpen(
            run_id=facts.run_id,
            workspace_id=facts.workspace_id,
            project_id=facts.project_id,
            source_kind=facts.source_kind,
            source=facts.source,
            include_dirty=facts.include_dirty,
            from_workspace=facts.parent_workspace_id,
            from_snapshot=facts.from_snapshot,
        )
    )
    await services.record(
        facts.run_id, "workspace", *workspace_opened(facts, opened), base_commit=opened.base_commit
    )
    return opened.model_dump(mode="json")


def workspace_opened(facts: RunFacts, opened: api.WorkspaceOpened) -> list[Payload]:
    """What is told of the workspace: what the run starts from, and what of the source is not in it."""
    payloads: list[Payload] = [
        RunStarted(
            role=facts.role, model=facts.model, base_commit=opened.base_commit, base_note=opened.head_note
        )
    ]
    if opened.imported_folder and facts.parent_run_id is None:
        payloads.append(
            NoticeRaised(
                level="info",
                code="FOLDER_IMPORTED",
                message="This is a plain folder, not a Git repository; it was imported as one base commit.",
                hint="The folder itself is left as it is. The result is a diff.",
            )
        )
    if opened.dirty_left_out:
        payloads.append(
            NoticeRaised(
                level="warning",
                code="UNCOMMITTED_LEFT_OUT",
                message=f"{opened.dirty_left_out} uncommitted change(s) are not part of this run.",
                hint="Commit them, or use --include-dirty to take them along.",
            )
        )
    return payloads


async def build_environment(services: Services, facts: RunFacts) -> dict[str, Any]:
    """Build or find the image that the project's checks run in."""
    phases = 0

    async def progress(phase: str, message: str) -> None:
        nonlocal phases
        phases += 1
        await services.record(
            facts.run_id, f"environment:{phases}", EnvironmentPhaseChanged(phase=phase, message=message)
        )

    try:
        environment = await services.platform.environment_build(
            api.EnvironmentBuild(
                run_id=facts.run_id,
                workspace_id=facts.workspace_id,
                project_id=facts.project_id,
                settings=facts.environment.model_dump(mode="json"),
            ),
            progress,
        )
    except EnvironmentFailed as error:
        await services.record(
            facts.run_id,
            "environment:failed",
            NoticeRaised(
                level="error",
                code=error.code,
                message=f"{error.message} (phase: {error.phase})\n{error.log_tail}".strip(),
                hint=error.hint,
            ),
        )
        raise
    await services.record(facts.run_id, "environment", environment_prepared(environment))
    return environment.model_dump(mode="json")


def environment_prepared(environment: Environment) -> EnvironmentPrepared:
    return EnvironmentPrepared(
        image_id=environment.image_id,
        recipe_source=environment.recipe.source,
        recipe_digest=environment.recipe_digest,
        cached=environment.cached,
        build_s=environment.build_s,
    )


async def freeze_checks(
    services: Services, facts: RunFacts, base_commit: str, environment: Environment
) -> dict[str, Any]:
    """Settle which checks decide and what they report at base; a child's checks are its parent's."""
    if facts.parent_run_id is not None:
        async with services.database.transaction() as session:
            parent = await get_run(session, facts.parent_run_id)
        return dict((parent.frozen or {}).get("summary") or {"checks": [], "base_red": []})
    checks, how = [_as_check(check, facts) for check in facts.checks], "given"
    if not checks:
        detected = await services.platform.checks_detect(
            api.ChecksDetect(run_id=facts.run_id, workspace_id=facts.workspace_id, base_commit=base_commit)
        )
        timeout = facts.environment.check_timeout_s
        checks = [check.model_copy(update={"timeout_s": timeout}) for check in detected.checks]
        how = detected.how
    checks = _within(checks, facts.budget)
    frozen = await services.verifier.freeze(run_id=facts.run_id, environment=environment, checks=checks)
    settled = {
        "checks": [check.model_dump(mode="json") for check in checks],
        "how": how,
        "base_red": frozen.base_red,
        "base_passed": frozen.base_passed,
        "base_failed": frozen.base_failed,
    }
    await services.record(
        facts.run_id, "checks", checks_frozen(facts, settled), *unusable_notices(frozen.reports)
    )
    return settled


def checks_frozen(facts: RunFacts, settled: dict[str, Any]) -> ChecksFrozen:
    """What is told of the checks that were settled."""
    return ChecksFrozen(
        checks=[Check.model_validate(check) for check in settled["checks"]],
        detected=not facts.checks,
        base_passed=settled["base_passed"],
        base_failed=settled["base_failed"],
        base_red=settled["base_red"],
    )


def unusable_notices(reports: Sequence[CheckReport]) -> list[NoticeRaised]:
    """Say before the agent starts that a check can decide nothing: it hangs, or there is no such command."""
    return [notice for report in reports if (notice := _unusable(report)) is not None]


def _unusable(report: CheckReport) -> NoticeRaised | None:
    command = shlex.join(report.check.argv)
    if report.timed_out:
        return NoticeRaised(
            level="warning",
            code="CHECK_TIMED_OUT",
            message=f"Before any change, a check did not end within its {report.check.timeout_s:g} s: {command}",
            hint="A test may hang: leave it out (pytest: --deselect ID, in --check), name another command "
            "with --check, or give more time.",
        )
    if report.exit_code in (126, 127) and not report.tests:
        return NoticeRaised(
            level="warning",
            code="CHECK_NOT_STARTED",
            message=f"A check could not be started (exit code {report.exit_code}), so it proves nothing: {command}",
            hint="Name a command that the environment has, with --check; or have the project's environment "
            "install it.",
        )
    return None


def _within(checks: list[Check], budget: Budget) -> list[Check]:
    """A command that hangs may not take longer than the whole task."""
    limit = budget.max_wall_s
    if limit is None:
        return checks
    return [check.model_copy(update={"timeout_s": min(check.timeout_s, limit)}) for check in checks]


async def open_sandbox(services: Services, facts: RunFacts, environment: Environment) -> dict[str, Any]:
    """Start the container that the agent's tools work in; an Architect's can't write."""
    opened = await services.platform.sandbox_open(
        api.SandboxOpen(
            run_id=facts.run_id,
            workspace_id=facts.workspace_id,
            image=environment.image_id,
            read_only=facts.role is AgentRole.ARCHITECT,
        )
    )
    await services.record(facts.run_id, "sandbox", sandbox_started(opened))
    return opened.model_dump(mode="json")


def sandbox_started(opened: api.SandboxOpened) -> SandboxStarted:
    return SandboxStarted(sandbox_id=opened.sandbox_id, phases_ms=opened.phases_ms)


def _as_check(command: str, facts: RunFacts) -> Check:
    argv = shlex.split(command)
    framework = "pytest" if any(word.split("/")[-1] in ("pytest", "py.test") for word in argv[:3]) else None
    return Check(argv=argv, framework=framework, timeout_s=facts.environment.check_timeout_s)
