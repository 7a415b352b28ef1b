"""``hypercode secret``: values that a project's commands are given, for whoever holds the machine."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.cli.database import instance_database
from hypercode.domain.errors import Conflict, InvalidArgument, NotFound
from hypercode.domain.secret import MAX_BYTES, SecretName
from hypercode.gateway.secrets import sealing_key, value_of
from hypercode.settings import Settings
from hypercode.store import secrets
from hypercode.store.tables import ProjectRow

secret = typer.Typer(
    help="Secrets of a project: set, list, delete. No value is ever shown.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Project = Annotated[str, typer.Option("--project", help="The project's id, or its name.")]
Name = Annotated[str, typer.Argument(help="Capital letters, digits and _.")]
Result = TypeVar("Result")
BY = "the terminal"


@secret.command(name="set")
def set_(name: Name, project: Project) -> None:
    """Keep a value under a name; it is read from standard input, or asked for. One line end at its end is left off."""
    checked = _checked(name)
    value = value_of(_value())

    async def work(session: AsyncSession, row: ProjectRow) -> int:
        # Only now: a data directory of an older version is given its key when it is started.
        key = sealing_key(Settings().keys_dir)
        return (await secrets.set_secret(session, key, row, checked, value, BY)).version

    typer.echo(f"{checked} is set, version {_in_project(project, work)}.")


@secret.command(name="list")
def list_(project: Project) -> None:
    """List names, versions, and when each was changed and last used."""

    async def work(session: AsyncSession, row: ProjectRow) -> list[str]:
        return [
            f"{each.name}  version {each.version}, changed {each.changed_at:%Y-%m-%d %H:%M} by {each.changed_by}, "
            + (f"used {each.last_used_at:%Y-%m-%d %H:%M}" if each.last_used_at else "never used")
            for each in await secrets.list_secrets(session, row.id)
        ]

    for line in _in_project(project, work) or ["The project has no secrets."]:
        typer.echo(line)


@secret.command()
def delete(name: Name, project: Project) -> None:
    """Delete a secret; runs that were given it go on keeping it out of results."""
    checked = _checked(name)

    async def work(session: AsyncSession, row: ProjectRow) -> None:
        await secrets.delete_secret(session, row.id, checked)

    _in_project(project, work)
    typer.echo(f"{checked} is deleted.")


def _checked(name: str) -> str:
    try:
        return TypeAdapter[str](SecretName).validate_python(name)
    except ValidationError:
        raise InvalidArgument(
            f"{name!r} can't be the name of a secret.",
            hint="Capital letters, digits and _, and no variable that steers programs, such as PATH.",
        ) from None


def _value() -> str:
    if sys.stdin.isatty():
        return typer.prompt("Value", hide_input=True, confirmation_prompt=True)
    text = sys.stdin.buffer.read(MAX_BYTES + 2)
    try:
        return text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise InvalidArgument("A secret's value is text.") from None


def _in_project(project: str, work: Callable[[AsyncSession, ProjectRow], Awaitable[Result]]) -> Result:
    async def do() -> Result:
        async with (
            instance_database(Settings(), lambda text: typer.echo(text, err=True)) as database,
            database.transaction() as session,
        ):
            return await work(session, await _project(session, project))

    return asyncio.run(do())


async def _project(session: AsyncSession, wanted: str) -> ProjectRow:
    named = or_(ProjectRow.id == wanted, ProjectRow.name == wanted)
    rows = list(await session.scalars(select(ProjectRow).where(named)))
    if not rows:
        raise NotFound(f"There is no project {wanted}.", hint="Give its id or its name.")
    if len(rows) > 1:
        raise Conflict(f"There are {len(rows)} projects {wanted}.", hint="Give the id.")
    return rows[0]
