"""``hypercode admin``: for whoever holds the machine."""

import asyncio
from typing import Annotated

import typer
from sqlalchemy import delete

from hypercode.cli.supervisor import attached
from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.gateway.passwords import MIN_LENGTH, hash_password
from hypercode.settings import Settings
from hypercode.store.database import Database
from hypercode.store.tables import UserSessionRow
from hypercode.store.users import find_user_by_email

admin = typer.Typer(help="Reset an account's password.", no_args_is_help=True, rich_markup_mode=None)


@admin.callback()
def group() -> None:
    """Commands for whoever holds this machine; they need no sign-in."""


@admin.command()
def reset(
    email: Annotated[str, typer.Argument(help="The account's address.")],
    password: Annotated[
        str,
        typer.Option(
            prompt="New password", hide_input=True, confirmation_prompt=True, envvar="HYPERCODE_NEW_PASSWORD"
        ),
    ],
) -> None:
    """Set a new password and end all of the account's sign-ins."""
    if len(password) < MIN_LENGTH:
        raise InvalidArgument(f"The password has {len(password)} characters; {MIN_LENGTH} are the least.")
    asyncio.run(_reset(email, password))
    typer.echo(f"The password of {email} is set; all its sign-ins were ended.")


async def _reset(email: str, password: str) -> None:
    async with attached(Settings(), lambda text: typer.echo(text, err=True)) as platform:
        database = Database(platform.database_url)
        async with database.transaction() as session:
            user = await find_user_by_email(session, email)
            if user is None:
                raise NotFound(f"There is no account {email}.", hint="Check the address.")
            user.password_hash = await hash_password(password)
            await session.execute(delete(UserSessionRow).where(UserSessionRow.user_id == user.id))
        await database.dispose()
