"""Stored outputs, as downloads: their bytes come from agents and repositories, never to be shown as a page."""

import re

from fastapi import APIRouter, Response

from hypercode.domain.errors import NotFound
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession
from hypercode.store.artifacts import get_artifact

router = APIRouter(prefix="/artifacts", tags=["artifacts"])


class Download(Response):
    """Any bytes, for the schema."""

    media_type = "application/octet-stream"


@router.get("/{artifact_id}", response_class=Download)
async def download_artifact(
    artifact_id: str, caller: CurrentCaller, parts: AppParts, session: DbSession
) -> Response:
    row = await get_artifact(session, artifact_id)
    if row.organisation_id != caller.user.organisation_id:
        raise NotFound(f"There is no artifact {artifact_id}.")
    data = await parts.artifacts.read(row)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", row.name)[:150] or "artifact"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "ETag": f'"{row.sha256}"',
        "Cache-Control": "private, no-cache",
    }
    return Response(data, media_type=row.media_type, headers=headers)
