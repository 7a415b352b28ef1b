"""``hypercode task withdraw``."""

from typing import Annotated

import typer

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import take_back


def withdraw(
    target: Target,
    command: Annotated[str, typer.Argument(metavar="COMMAND", help="The id that the command was given.")],
    as_json: AsJson = False,
) -> None:
    """Take back what a run was told, while it waits."""
    take_back(target, command, as_json)
