"""``hypercode task``: what can be done with a task once it was handed in. One module a verb, loaded when it is called."""

import typer

from hypercode.cli.lazy import LazyCommands

VERBS = {
    "bisect": "Find the first step of a run whose snapshot breaks a check.",
    "cancel": "Stop a run and all its children; what it has changed so far is kept as its diff.",
    "watch": "Show a run from its first event, or from the one after --after, and follow it to its end.",
    "diff": "Show what changed in a run's workspace between two of its events.",
    "export": "Write a run's recording to a file.",
    "replay": "Run a recorded run again from its recorded answers, and say where it goes another way.",
    "top-up": "Give a task more of its budget; the runs that were paused for it go on.",
}


class Verbs(LazyCommands):
    package = "hypercode.cli.task"
    commands_help = VERBS


task = typer.Typer(cls=Verbs, no_args_is_help=True, rich_markup_mode=None)


@task.callback()
def about() -> None:
    """See, steer and follow tasks. TASK is the id of a task (its newest run is meant) or of one of its runs."""
