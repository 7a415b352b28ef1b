"""Deployments in the database: which container answers at a preview's address."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.deployment import Deployment, DeploymentStatus
from hypercode.domain.errors import NotFound
from hypercode.store.tables import DeploymentRow


async def deployments_of_task(session: AsyncSession, task_id: str) -> list[DeploymentRow]:
    """Return a task's deployments, newest first."""
    rows = await session.scalars(
        select(DeploymentRow)
        .where(DeploymentRow.task_id == task_id)
        .order_by(DeploymentRow.created_at.desc(), DeploymentRow.id)
    )
    return list(rows)


async def deployment_of_task(session: AsyncSession, deployment_id: str, task_id: str) -> DeploymentRow:
    """Return a deployment of this task, locked with all others at its address; raises NotFound."""
    row = await session.get(DeploymentRow, deployment_id)
    if row is None or row.task_id != task_id:
        raise NotFound(f"there is no deployment {deployment_id}", hint="See deploy_status.")
    await at_address(session, row.preview_id)
    return row


async def at_address(session: AsyncSession, preview_id: str) -> list[DeploymentRow]:
    """Lock and return all deployments at an address, newest first: only one at a time changes who serves."""
    rows = await session.scalars(
        select(DeploymentRow)
        .where(DeploymentRow.preview_id == preview_id)
        .order_by(DeploymentRow.created_at.desc(), DeploymentRow.id)
        .with_for_update(),
        execution_options={"populate_existing": True},
    )
    return list(rows)


async def serving_at(session: AsyncSession, preview_id: str) -> DeploymentRow | None:
    """Return the deployment that answers at an address now."""
    return await session.scalar(
        select(DeploymentRow).where(
            DeploymentRow.preview_id == preview_id,
            DeploymentRow.status == DeploymentStatus.SERVING.value,
            DeploymentRow.expires_at > datetime.now(UTC),
        )
    )


def newest(rows: Sequence[DeploymentRow], status: DeploymentStatus) -> DeploymentRow | None:
    """Return the first of rows that has a status."""
    return next((row for row in rows if row.status == status.value), None)


def set_status(row: DeploymentRow, status: DeploymentStatus, detail: str = "") -> None:
    row.status, row.detail, row.updated_at = status.value, detail, datetime.now(UTC)


def to_domain(row: DeploymentRow) -> Deployment:
    """Return the deployment; one whose time is over has stopped, whatever its row still says."""
    status, detail = DeploymentStatus(row.status), row.detail
    if status.live and row.expires_at <= datetime.now(UTC):
        status, detail = DeploymentStatus.STOPPED, "its time was over"
    return Deployment(
        id=row.id,
        task_id=row.task_id,
        run_id=row.run_id,
        image=row.image,
        port=row.port,
        status=status,
        detail=detail,
        replaces_id=row.replaces_id,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
