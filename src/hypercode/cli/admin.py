"""``hypercode admin``: for whoever holds the machine."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from hypercode.cli.environment import database_url, process_settings
from hypercode.cli.supervisor import attached
from hypercode.domain.errors import InvalidArgument, NotFound
from hypercode.gateway.passwords import MIN_LENGTH, hash_password
from hypercode.settings import Settings
from hypercode.store.database import Database, open_database
from hypercode.store.users import close_user_sessions_of, ensure_setup_token, find_user_by_email

admin = typer.Typer(
    help="The first admin, and forgotten passwords.", no_args_is_help=True, rich_markup_mode=None
)


@admin.callback()
def group() -> None:
    """Commands for whoever holds this machine; they need no sign-in."""


@admin.command(name="setup-token")
def setup_token(
    out: Annotated[
        Path | None, typer.Option(help="Write the token to this new file, that only you can read.")
    ] = None,
) -> None:
    """Make a fresh one-time token for the first admin, for /login#token=…; the one before ends.

    Reads HYPERCODE_DATABASE_URL; says so when an admin exists already. `hypercode up` does this by itself.
    """
    token = asyncio.run(_setup_token(database_url(process_settings())))
    if token is None:
        typer.echo("There is an admin already; no token was made.", err=True)
    elif out is None:
        typer.echo(token)
    else:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(token)


async def _setup_token(url: str) -> str | None:
    database = Database(url)
    async with database.transaction() as session:
        token = await ensure_setup_token(session)
    await database.dispose()
    return token


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
        database = open_database(platform.database_url, platform.redis_url)
        async with database.transaction() as session:
            user = await find_user_by_email(session, email)
            if user is None:
                raise NotFound(f"There is no account {email}.", hint="Check the address.")
            user.password_hash = await hash_password(password)
            await close_user_sessions_of(session, user.id)
        await database.dispose()
