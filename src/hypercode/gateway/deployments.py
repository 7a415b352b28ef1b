"""Deployments: what a task has running for people to look at, the way in, and ending it."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request

from hypercode.domain.deployment import Deployment
from hypercode.domain.errors import Conflict, NotFound, PermissionDenied
from hypercode.gateway.auth import COOKIE
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.gateway.previews import ENTER, preview_origin
from hypercode.platform_api.previews import DeploymentStop
from hypercode.store import deployments, previews, tasks
from hypercode.store.tables import DeploymentRow
from hypercode.store.users import sha256_hex

router = APIRouter(tags=["deployments"])


class DeploymentList(BaseModel):
    """Newest first."""

    items: list[Deployment]


class PreviewTicket(BaseModel):
    """Where to go; the address works once, within a minute, in the browser that asked."""

    url: str


@router.get("/tasks/{task_id}/deployments")
async def list_deployments(task_id: str, caller: CurrentCaller, session: DbSession) -> DeploymentList:
    await tasks.get_task(session, caller.user.organisation_id, task_id)
    rows = await deployments.deployments_of_task(session, task_id)
    return DeploymentList(items=[deployments.to_domain(row) for row in rows])


async def _visible(deployment_id: str, caller: CurrentCaller, session: DbSession) -> DeploymentRow:
    row = await session.get(DeploymentRow, deployment_id)
    if row is None or row.organisation_id != caller.user.organisation_id:
        raise NotFound(f"There is no deployment {deployment_id}.")
    return row


Visible = Annotated[DeploymentRow, Depends(_visible)]


@router.post("/deployments/{deployment_id}/stop", status_code=202)
async def stop_deployment(row: Visible, parts: AppParts) -> None:
    """Stop and remove it, with the one that stands by for it."""
    await parts.previews.client().deployment_stop(DeploymentStop(task_id=row.task_id, deployment_id=row.id))


@router.post("/deployments/{deployment_id}/ticket")
async def make_preview_ticket(
    row: Visible, request: Request, caller: CurrentCaller, parts: AppParts, session: DbSession
) -> PreviewTicket:
    """Make a one-time way into the preview, for a signed-in browser."""
    if not caller.csrf_token:
        raise PermissionDenied("Previews are for signed-in browsers.", hint="Open it from the task's page.")
    await _require_serving(session, row)
    ticket = await previews.make_ticket(session, row.preview_id, sha256_hex(request.cookies[COOKIE]))
    origin = preview_origin(request, parts.settings.gateway, row.preview_id)
    return PreviewTicket(url=f"{origin}{ENTER}?ticket={ticket}")


async def _require_serving(session: AsyncSession, row: DeploymentRow) -> None:
    serving = await deployments.serving_at(session, row.preview_id)
    if serving is None or serving.id != row.id:
        raise Conflict("This deployment does not serve now.", hint="Look for the one that does.")
