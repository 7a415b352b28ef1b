"""``hypercode task retry``."""

from typing import Annotated

import typer

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.domain.steering import Verb


def retry(
    target: Target,
    from_failure: Annotated[
        bool, typer.Option("--from-failure", help="Go on from the last step that it had finished.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Begin a new run of the same task: from scratch, or where a run that failed had come to."""
    tell(target, Verb.RETRY, as_json, from_failure=from_failure)
