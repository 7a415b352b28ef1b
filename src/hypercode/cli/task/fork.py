"""``hypercode task fork``."""

from typing import Annotated

import typer

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.cli.task.words import PerhapsText
from hypercode.domain.steering import Verb


def fork(
    target: Target,
    at: Annotated[int, typer.Option("--at", metavar="SEQ", help="The event to go on from; its seq.")],
    text: PerhapsText = "",
    as_json: AsJson = False,
) -> None:
    """Begin a new run that goes on from an event of this one, in a workspace of its own as it was then."""
    tell(target, Verb.FORK, as_json, at_seq=at, text=text)
