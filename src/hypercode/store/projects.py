"""Projects in the database. Everyone of an organisation sees its projects, and nobody else does."""

from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import Conflict, NotFound
from hypercode.domain.ids import new_id
from hypercode.domain.project import EnvironmentSettings, Project, SourceKind
from hypercode.store import cache
from hypercode.store.redis_keys import PROJECTS
from hypercode.store.tables import ProjectRow

PROJECT_LIST = TypeAdapter(list[Project])


async def create_project(
    session: AsyncSession,
    organisation_id: str,
    *,
    name: str,
    source_kind: SourceKind,
    source: str,
    environment: EnvironmentSettings,
) -> ProjectRow:
    await _refuse_taken_name(session, organisation_id, name)
    row = ProjectRow(
        id=new_id("project"),
        organisation_id=organisation_id,
        name=name,
        source_kind=source_kind.value,
        source=source,
        environment=environment.model_dump(mode="json"),
        created_at=datetime.now(UTC),
    )
    session.add(row)
    await session.flush()
    await cache.changed(session, PROJECTS, organisation_id)
    return row


async def ensure_project(
    session: AsyncSession, organisation_id: str, *, source_kind: SourceKind, source: str, name: str
) -> ProjectRow:
    """Return the organisation's project of this source, making it when there is none."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('hypercode.ensure_project'))"))
    row = await session.scalar(
        select(ProjectRow)
        .where(
            ProjectRow.organisation_id == organisation_id,
            ProjectRow.source_kind == source_kind.value,
            ProjectRow.source == source,
        )
        .order_by(ProjectRow.created_at)
        .limit(1)
    )
    if row is not None:
        return row
    return await create_project(
        session,
        organisation_id,
        name=await _free_name(session, organisation_id, name),
        source_kind=source_kind,
        source=source,
        environment=EnvironmentSettings(),
    )


async def get_project(session: AsyncSession, organisation_id: str, project_id: str) -> ProjectRow:
    """Return a project of this organisation; another's does not exist for the caller."""
    row = await session.get(ProjectRow, project_id)
    if row is None or row.organisation_id != organisation_id:
        raise NotFound(f"There is no project {project_id}.", hint="It may have been removed.")
    return row


async def list_projects(session: AsyncSession, organisation_id: str) -> list[Project]:
    """Return an organisation's projects by name. May come from the cache."""
    known = await cache.kept(session, PROJECTS, organisation_id)
    if known is not None:
        return PROJECT_LIST.validate_json(known)
    rows = await session.scalars(
        select(ProjectRow).where(ProjectRow.organisation_id == organisation_id).order_by(ProjectRow.name)
    )
    projects = [to_domain(row) for row in rows]
    await cache.keep(session, PROJECTS, organisation_id, PROJECT_LIST.dump_json(projects).decode())
    return projects


async def change_project(
    session: AsyncSession, row: ProjectRow, name: str | None, environment: EnvironmentSettings | None
) -> None:
    """Change what is given; raises Conflict when another project has the name."""
    if name is not None and name != row.name:
        await _refuse_taken_name(session, row.organisation_id, name)
        row.name = name
    if environment is not None:
        row.environment = environment.model_dump(mode="json")
    await cache.changed(session, PROJECTS, row.organisation_id)


async def _refuse_taken_name(session: AsyncSession, organisation_id: str, name: str) -> None:
    if await _name_taken(session, organisation_id, name):
        raise Conflict(f"A project named {name!r} exists already.", hint="Choose another name.")


async def _name_taken(session: AsyncSession, organisation_id: str, name: str) -> bool:
    statement = select(ProjectRow.id).where(
        ProjectRow.organisation_id == organisation_id, ProjectRow.name == name
    )
    return await session.scalar(statement) is not None


async def _free_name(session: AsyncSession, organisation_id: str, name: str) -> str:
    candidate, number = name, 2
    while await _name_taken(session, organisation_id, candidate):
        candidate, number = f"{name} ({number})", number + 1
    return candidate


def to_domain(row: ProjectRow) -> Project:
    return Project(
        id=row.id,
        organisation_id=row.organisation_id,
        name=row.name,
        source_kind=SourceKind(row.source_kind),
        source=row.source,
        environment=EnvironmentSettings.model_validate(row.environment),
        created_at=row.created_at,
    )
