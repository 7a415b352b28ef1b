"""``hypercode task queue``."""

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.cli.task.words import Text
from hypercode.domain.steering import Verb


def queue(target: Target, text: Text, as_json: AsJson = False) -> None:
    """Leave the agent its next goal; it takes it up when it has finished the one it works on."""
    tell(target, Verb.QUEUE, as_json, text=text)
