"""``hypercode task pause``."""

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.domain.steering import Verb


def pause(target: Target, as_json: AsJson = False) -> None:
    """Hold a run and its children at their next legal boundary; they keep no worker."""
    tell(target, Verb.PAUSE, as_json)
