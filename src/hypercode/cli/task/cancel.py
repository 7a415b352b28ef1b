"""``hypercode task cancel``."""

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.domain.steering import Verb


def cancel(target: Target, as_json: AsJson = False) -> None:
    """Stop a run and all its children; what it has changed so far is kept as its diff."""
    tell(target, Verb.CANCEL, as_json)
