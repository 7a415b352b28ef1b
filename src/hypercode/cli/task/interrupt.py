"""``hypercode task interrupt``."""

from hypercode.cli.task.target import AsJson, Target
from hypercode.cli.task.telling import tell
from hypercode.cli.task.words import PerhapsText
from hypercode.domain.steering import Verb


def interrupt(target: Target, text: PerhapsText = "", as_json: AsJson = False) -> None:
    """Stop the model call or tool call that is going on; the agent then reads TEXT."""
    tell(target, Verb.INTERRUPT, as_json, text=text)
