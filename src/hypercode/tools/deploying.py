"""Deployments: a new container serves only once it is healthy, and the one before it stands by for a way back.

Each change of who serves is one transaction, with its event. A container that nobody serves from any more is
removed afterwards; when that fails, its time to live removes it.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import anyio
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.deployment import DeploymentStatus, HealthCheck
from hypercode.domain.errors import Conflict, HyperCodeError, NotFound, SandboxDown
from hypercode.domain.event import DeploymentChanged
from hypercode.domain.grant import Grant
from hypercode.domain.ids import new_id
from hypercode.domain.web_exchange import WebRequest
from hypercode.events import log as event_log
from hypercode.sandbox.apps import AppHttp, AppLogs, AppRef, ImageRef, RunApp
from hypercode.sandbox.base import Sandboxes
from hypercode.store.database import Database
from hypercode.store.deployments import (
    at_address,
    deployment_of_task,
    deployments_of_task,
    newest,
    set_status,
)
from hypercode.store.tables import DeploymentRow, RunRow

log = structlog.get_logger(__name__)
ATTEMPT_S = 5.0
START_S = 120.0
INTERRUPTED = "the platform was stopped while it started"


@dataclass(frozen=True)
class Wanted:
    """What to deploy."""

    image: ImageRef
    port: int
    health: HealthCheck
    command: list[str]
    env: dict[str, str]
    memory_mb: int
    cpus: float
    replaces: str | None


@dataclass(frozen=True)
class Health:
    """What the health check saw."""

    ok: bool
    attempts: int
    last_error: str


@dataclass(frozen=True)
class Deployed:
    """A deployment after an attempt to make it serve."""

    row: DeploymentRow
    health: Health
    log_tail: str


class Deploying:
    """Makes containers serve, and ends them. ``ttl_s`` is how long a deployment lives."""

    def __init__(self, database: Database, sandboxes: Sandboxes, ttl_s: int) -> None:
        self._database = database
        self._sandboxes = sandboxes
        self._ttl_s = ttl_s

    async def deploy(self, grant: Grant, wanted: Wanted) -> Deployed:
        """Start a container and let it serve once it is healthy; otherwise it goes, and what served goes on."""
        await self.settle(grant.task_id)
        row = await self._announced(grant, wanted)
        try:
            await self._sandboxes.apps.run(
                RunApp(
                    container_id=row.container_id,
                    kind="deployment",
                    owner=row.task_id,
                    image=wanted.image,
                    command=wanted.command,
                    env=wanted.env,
                    ports=[wanted.port],
                    memory_mb=wanted.memory_mb,
                    cpus=wanted.cpus,
                )
            )
            health = await self._healthy(row, wanted.health)
        except BaseException as failure:
            why = failure.message if isinstance(failure, HyperCodeError) else "the call was stopped"
            with anyio.CancelScope(shield=True):
                await self._give_up(row, why)
            raise
        if health.ok:
            return Deployed(await self._switch(row), health, "")
        tail = await self._tail(row)
        return Deployed(await self._give_up(row, health.last_error), health, tail)

    async def _announced(self, grant: Grant, wanted: Wanted) -> DeploymentRow:
        now = datetime.now(UTC)
        patience = START_S + wanted.health.retries * (wanted.health.interval_s + ATTEMPT_S)
        async with self._database.transaction() as session:
            preview_id = secrets.token_hex(16)
            if wanted.replaces is not None:
                old = await deployment_of_task(session, wanted.replaces, grant.task_id)
                if not DeploymentStatus(old.status).live:
                    raise Conflict(f"{old.id} is not there any more", hint="Leave `replaces` out.")
                preview_id = old.preview_id
            row = DeploymentRow(
                id=new_id("deployment"),
                organisation_id=grant.organisation_id,
                project_id=grant.project_id,
                task_id=grant.task_id,
                run_id=grant.run_id,
                container_id=new_id("container"),
                image=wanted.image.name,
                port=wanted.port,
                health=wanted.health.model_dump(),
                status=DeploymentStatus.STARTING.value,
                detail="",
                preview_id=preview_id,
                replaces_id=wanted.replaces,
                deadline=now + timedelta(seconds=patience),
                expires_at=now + timedelta(seconds=self._ttl_s),
                updated_at=now,
                created_at=now,
            )
            session.add(row)
            await session.flush()
            await _tell(session, [row])
        return row

    async def _healthy(self, row: DeploymentRow, check: HealthCheck) -> Health:
        """Ask until the app answers as it should, its tries are over, or its program has ended."""
        error = ""
        for attempt in range(1, check.retries + 1):
            try:
                status = await self._status(row, check.path)
            except SandboxDown as down:
                return Health(False, attempt, down.message)
            except HyperCodeError as failure:
                error = failure.message
            else:
                if status == check.status:
                    return Health(True, attempt, "")
                error = f"{check.path} answered {status}, not {check.status}"
            if attempt < check.retries:
                await anyio.sleep(check.interval_s)
        return Health(False, check.retries, error)

    async def _status(self, row: DeploymentRow, path: str) -> int:
        asked = AppHttp(
            container_id=row.container_id,
            owner=row.task_id,
            port=row.port,
            request=WebRequest(method="GET", target=path),
            timeout_s=ATTEMPT_S,
        )
        async with self._sandboxes.apps.http(asked) as answer:
            return answer.head.status

    async def _switch(self, row: DeploymentRow) -> DeploymentRow:
        """Let it serve, and what served before it stand by; what stood by goes."""
        async with self._database.transaction() as session:
            rows = await at_address(session, row.preview_id)
            fresh = next(each for each in rows if each.id == row.id)
            changed = [each for each in rows if each.status == DeploymentStatus.STANDBY.value]
            for each in changed:
                set_status(each, DeploymentStatus.STOPPED, "another took its place")
            gone = [*changed]
            if before := newest(rows, DeploymentStatus.SERVING):
                set_status(before, DeploymentStatus.STANDBY)
                changed.append(before)
                # First written alone: only one may serve at an address.
                await session.flush()
            set_status(fresh, DeploymentStatus.SERVING)
            await _tell(session, [*changed, fresh])
        await self._remove(gone)
        return fresh

    async def _give_up(self, row: DeploymentRow, why: str) -> DeploymentRow:
        async with self._database.transaction() as session:
            fresh = await deployment_of_task(session, row.id, row.task_id)
            set_status(fresh, DeploymentStatus.FAILED, why)
            await _tell(session, [fresh])
        await self._remove([fresh])
        return fresh

    async def _tail(self, row: DeploymentRow) -> str:
        try:
            asked = AppLogs(container_id=row.container_id, owner=row.task_id, tail=40)
            return (await self._sandboxes.apps.logs(asked)).text[-8000:]
        except HyperCodeError:
            return ""

    async def rollback(self, task_id: str, deployment_id: str) -> DeploymentRow:
        """Let the one that served before serve again, if it still answers; this one goes."""
        await self.settle(task_id)
        async with self._database.transaction() as session:
            row = await deployment_of_task(session, deployment_id, task_id)
            before = newest(await at_address(session, row.preview_id), DeploymentStatus.STANDBY)
        if row.status != DeploymentStatus.SERVING.value or before is None:
            raise Conflict(f"there is nothing to go back to from {deployment_id}")
        health = await self._healthy(before, HealthCheck.model_validate(before.health))
        if not health.ok:
            raise Conflict(f"{before.id}, which served before, is not healthy: {health.last_error}")
        async with self._database.transaction() as session:
            now = {each.id: each for each in await at_address(session, row.preview_id)}
            row, before = now[row.id], now[before.id]
            if (row.status, before.status) != (DeploymentStatus.SERVING, DeploymentStatus.STANDBY):
                raise Conflict("somebody else changed what serves at the same time")
            set_status(row, DeploymentStatus.STOPPED, f"rolled back to {before.id}")
            await session.flush()
            set_status(before, DeploymentStatus.SERVING)
            await _tell(session, [row, before])
        await self._remove([row])
        return before

    async def stop(self, task_id: str, deployment_id: str, detail: str) -> DeploymentRow:
        """End a deployment; with one that serves, also the one that stands by for it."""
        async with self._database.transaction() as session:
            row = await deployment_of_task(session, deployment_id, task_id)
            serves = row.status == DeploymentStatus.SERVING.value
            at = await at_address(session, row.preview_id) if serves else [row]
            gone = [each for each in at if each is row or each.status == DeploymentStatus.STANDBY.value]
            gone = [each for each in gone if DeploymentStatus(each.status).live]
            for each in gone:
                set_status(each, DeploymentStatus.STOPPED, detail)
            await _tell(session, gone)
        await self._remove(gone)
        return row

    async def of_task(self, task_id: str) -> list[DeploymentRow]:
        """Return a task's deployments, newest first."""
        await self.settle(task_id)
        async with self._database.transaction() as session:
            return await deployments_of_task(session, task_id)

    async def settle(self, task_id: str) -> None:
        """Give up what a dead process left starting."""
        async with self._database.transaction() as session:
            left = [
                row
                for row in await deployments_of_task(session, task_id)
                if row.status == DeploymentStatus.STARTING.value and row.deadline < datetime.now(UTC)
            ]
        for row in left:
            await self._give_up(row, INTERRUPTED)

    async def _remove(self, rows: Sequence[DeploymentRow]) -> None:
        for row in rows:
            try:
                await self._sandboxes.apps.remove(AppRef(container_id=row.container_id, owner=row.task_id))
            except NotFound:
                continue
            except HyperCodeError as error:
                log.warning("deployment.left_behind", deployment_id=row.id, message=error.message)


async def _tell(session: AsyncSession, rows: Sequence[DeploymentRow]) -> None:
    """Append the statuses to the events of the runs that made them; the last event of an ended run stays its last."""
    for row in rows:
        run = await session.get(RunRow, row.run_id)
        if run is None or run.ended_at is not None:
            continue
        payload = DeploymentChanged(
            deployment_id=row.id,
            status=DeploymentStatus(row.status),
            detail=row.detail,
            image=row.image,
            port=row.port,
        )
        await event_log.append(session, run.id, f"deployment:{row.id}:{secrets.token_hex(8)}", [payload])
