"""Projects: repositories that people connected."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StringConstraints

from hypercode.domain.fields import Name, Storable
from hypercode.domain.project import EnvironmentSettings, Project, SourceKind
from hypercode.gateway.auth import Caller
from hypercode.gateway.deps import AppParts, CurrentCaller, DbSession, Parts, require_admin
from hypercode.gateway.sources import git_source, local_source
from hypercode.store import projects

router = APIRouter(prefix="/projects", tags=["projects"])


class NewProject(BaseModel):
    """``source`` is an absolute path on the platform's machine, or an https URL of a git repository."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    source_kind: SourceKind
    source: Annotated[str, StringConstraints(min_length=1, max_length=2000), Storable]
    environment: EnvironmentSettings = EnvironmentSettings()


class ProjectChange(BaseModel):
    """What to change; absent fields stay as they are."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    environment: EnvironmentSettings | None = None


class ProjectList(BaseModel):
    items: list[Project]


@router.get("")
async def list_projects(caller: CurrentCaller, session: DbSession) -> ProjectList:
    return ProjectList(items=await projects.list_projects(session, caller.user.organisation_id))


@router.post("", status_code=201)
async def create_project(
    body: NewProject, caller: CurrentCaller, parts: AppParts, session: DbSession
) -> Project:
    source = await _checked_source(body, caller, parts)
    row = await projects.create_project(
        session,
        caller.user.organisation_id,
        name=body.name or _name_of(source),
        source_kind=body.source_kind,
        source=source,
        environment=body.environment,
    )
    return projects.to_domain(row)


@router.get("/{project_id}")
async def get_project(project_id: str, caller: CurrentCaller, session: DbSession) -> Project:
    return projects.to_domain(await projects.get_project(session, caller.user.organisation_id, project_id))


@router.patch("/{project_id}")
async def update_project(
    project_id: str, body: ProjectChange, caller: CurrentCaller, session: DbSession
) -> Project:
    row = await projects.get_project(session, caller.user.organisation_id, project_id)
    await projects.change_project(session, row, body.name, body.environment)
    return projects.to_domain(row)


async def _checked_source(body: NewProject, caller: Caller, parts: Parts) -> str:
    if body.source_kind is SourceKind.GIT_URL:
        return await git_source(body.source)
    require_admin(caller, "connect a path on the platform's machine")
    return local_source(body.source, parts.settings.gateway.allowed_roots, parts.settings.data_dir)


def _name_of(source: str) -> str:
    return Path(source).name.removesuffix(".git")[:100] or "project"
