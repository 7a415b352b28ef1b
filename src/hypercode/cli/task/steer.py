"""``hypercode task steer``."""

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.cli.task.words import Text
from hypercode.domain.steering import Verb


def steer(target: Target, text: Text, as_json: AsJson = False) -> None:
    """Tell the agent something; it reads it before its next model call."""
    tell(target, Verb.STEER, as_json, text=text)
