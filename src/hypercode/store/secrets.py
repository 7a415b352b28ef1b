"""Secrets of projects in the database. Values are sealed before they get here, and opened in the tools process only."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.errors import NotFound
from hypercode.domain.secret import Secret
from hypercode.store.sealing import seal
from hypercode.store.tables import ProjectRow, RunRow, SecretRow, SecretUseRow


def belongs_to(row: SecretRow | SecretUseRow) -> str:
    """Where a value belongs; sealed with it."""
    return json.dumps([row.organisation_id, row.project_id, row.name, row.version])


async def set_secret(
    session: AsyncSession, public_hex: str, project: ProjectRow, name: str, value: str, by: str
) -> Secret:
    """Keep a value under a name, in place of the one before."""
    # Two at once: the second waits for the first, whose version it then follows.
    await session.execute(select(ProjectRow.id).where(ProjectRow.id == project.id).with_for_update())
    now = datetime.now(UTC)
    row = await session.get(SecretRow, (project.id, name), populate_existing=True)
    if row is None:
        row = SecretRow(
            project_id=project.id,
            name=name,
            organisation_id=project.organisation_id,
            version=0,
            created_at=now,
            last_used_at=None,
        )
        session.add(row)
    elif row.sealed is None:
        row.created_at, row.last_used_at = now, None
    row.version += 1
    row.changed_at, row.changed_by = now, by
    row.sealed = seal(public_hex, value.encode(), belongs_to(row))
    await session.flush()
    return to_domain(row)


async def list_secrets(session: AsyncSession, project_id: str) -> list[Secret]:
    """Return a project's secrets by name, without their values."""
    rows = await session.scalars(
        select(SecretRow)
        .where(SecretRow.project_id == project_id, SecretRow.sealed.is_not(None))
        .order_by(SecretRow.name)
    )
    return [to_domain(row) for row in rows]


async def delete_secret(session: AsyncSession, project_id: str, name: str) -> None:
    """Delete a secret's value; raises NotFound. Runs that were given it go on keeping it out of results."""
    row = await session.get(SecretRow, (project_id, name))
    if row is None or row.sealed is None:
        raise NotFound(f"The project has no secret {name}.")
    row.sealed = None


async def use_secrets(session: AsyncSession, run: RunRow, names: Sequence[str]) -> list[SecretUseRow]:
    """Write down that a run is given these secrets, and return them; raises NotFound naming those that are not there."""
    rows = list(
        await session.scalars(
            select(SecretRow)
            .where(
                SecretRow.project_id == run.project_id,
                SecretRow.organisation_id == run.organisation_id,
                SecretRow.name.in_(names),
                SecretRow.sealed.is_not(None),
            )
            .order_by(SecretRow.name)
            .with_for_update()
        )
    )
    if missing := sorted(set(names) - {row.name for row in rows}):
        raise NotFound(f"the project has no secret {', '.join(missing)}", hint="See secret_list.")
    for row in rows:
        row.last_used_at = datetime.now(UTC)
    uses = [_use(run, row) for row in rows]
    for use in uses:
        values = {column.name: getattr(use, column.name) for column in SecretUseRow.__table__.columns}
        del values["created_at"]
        await session.execute(insert(SecretUseRow).values(values).on_conflict_do_nothing())
    return uses


def _use(run: RunRow, row: SecretRow) -> SecretUseRow:
    return SecretUseRow(
        run_id=run.id,
        name=row.name,
        version=row.version,
        organisation_id=row.organisation_id,
        project_id=row.project_id,
        sealed=row.sealed,
    )


async def known_to(session: AsyncSession, run_id: str) -> list[SecretUseRow]:
    """Return what a run was given, and the runs above it, whose work trees it began with."""
    return list(await session.scalars(_known_to(run_id)))


def _known_to(run_id: str) -> Select[SecretUseRow]:
    line = select(RunRow.id, RunRow.parent_run_id).where(RunRow.id == run_id).cte("line", recursive=True)
    line = line.union(select(RunRow.id, RunRow.parent_run_id).join(line, RunRow.id == line.c.parent_run_id))
    return select(SecretUseRow).where(SecretUseRow.run_id.in_(select(line.c.id)))


async def forget_values(session: AsyncSession, run_id: str) -> None:
    """Delete the values that a run was given; that it was given them stays."""
    await session.execute(update(SecretUseRow).where(SecretUseRow.run_id == run_id).values(sealed=None))


def to_domain(row: SecretRow) -> Secret:
    """Return what is shown of a secret."""
    return Secret(
        name=row.name,
        version=row.version,
        created_at=row.created_at,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        last_used_at=row.last_used_at,
    )
