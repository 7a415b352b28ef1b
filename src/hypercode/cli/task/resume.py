"""``hypercode task resume``."""

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.domain.steering import Verb


def resume(target: Target, as_json: AsJson = False) -> None:
    """Let a paused run and its children go on."""
    tell(target, Verb.RESUME, as_json)
