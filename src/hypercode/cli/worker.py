"""``hypercode worker``: works on runs."""

import asyncio
import uuid
from pathlib import Path
from typing import Annotated

import typer

from hypercode.cli.environment import database_url, process_settings
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.role import RUN_ROLES, AgentRole
from hypercode.runs.leases import Identity, place_named
from hypercode.runs.worker import serve


def worker(
    role: Annotated[
        list[AgentRole] | None, typer.Option(help="The queue to serve; give it twice for both (the default).")
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            help="A name under which one worker lives at a time: runs of the one that was there before are taken over "
            "at once. `host` means the name of this machine, as fits a container."
        ),
    ] = None,
    socket: Annotated[
        Path | None,
        typer.Option(help="Where health and metrics are, beside other workers on the same machine."),
    ] = None,
) -> None:
    """Run a worker: it holds the model keys, and touches no engine and no workspace itself.

    Start as many as you like, on as many machines; they share the queue, and take over from one that dies.
    """
    if idle := sorted(set(role or ()) - set(RUN_ROLES)):
        raise InvalidArgument(
            f"There are no runs of the role {idle[0]} yet.", hint="Serve architect or coder."
        )
    settings = process_settings("worker")
    identity = Identity(uuid.uuid4().hex, tuple(role or RUN_ROLES), place_named(place))
    asyncio.run(serve(settings, database_url(settings), identity, socket))
