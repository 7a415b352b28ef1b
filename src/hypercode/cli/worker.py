"""``hypercode worker``: works on runs."""

import asyncio
import uuid
from typing import Annotated

import typer

from hypercode.cli.environment import database_url, process_settings
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.role import RUN_ROLES, AgentRole
from hypercode.runs.worker import serve


def worker(
    role: Annotated[
        list[AgentRole] | None, typer.Option(help="The queue to serve; give it twice for both (the default).")
    ] = None,
    executor_id: Annotated[
        str | None, typer.Option(help="The name under which a restarted worker finds its own runs again.")
    ] = None,
) -> None:
    """Run a worker: it holds the model keys, and touches no engine and no workspace itself."""
    if idle := sorted(set(role or ()) - set(RUN_ROLES)):
        raise InvalidArgument(
            f"There are no runs of the role {idle[0]} yet.", hint="Serve architect or coder."
        )
    settings = process_settings("worker")
    roles = role or list(RUN_ROLES)
    asyncio.run(serve(settings, database_url(settings), executor_id or uuid.uuid4().hex, roles))
