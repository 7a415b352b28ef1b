"""``hypercode task rewind``."""

from typing import Annotated

import typer

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.domain.steering import Verb


def rewind(
    target: Target,
    to: Annotated[int, typer.Option("--to", metavar="SEQ", help="The event to go back to; its seq.")],
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier event of this run and on from there; undone by going to the newest event."""
    tell(target, Verb.REWIND, as_json, to_seq=to)
