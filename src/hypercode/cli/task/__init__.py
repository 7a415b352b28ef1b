"""``hypercode task``: what can be done with a task once it was handed in. One module a verb, loaded when it is called."""

import typer

from hypercode.cli.lazy import LazyCommands

VERBS = {
    "list": "List tasks, newest first, with the id and the state of their newest run.",
    "show": "Show a task: its runs, what each was told, and what became of that.",
    "steer": "Tell the agent something; it reads it before its next model call.",
    "queue": "Leave the agent its next goal; it takes it up when it has finished the one it works on.",
    "interrupt": "Stop the model call or tool call that is going on; the agent then reads TEXT.",
    "pause": "Hold a run and its children at their next legal boundary; they keep no worker.",
    "resume": "Let a paused run and its children go on.",
    "cancel": "Stop a run and all its children; what it has changed so far is kept as its diff.",
    "retry": "Begin a new run of the same task: from scratch, or where a run that failed had come to.",
    "fork": "Begin a new run that goes on from an event of this one, in a workspace of its own as it was then.",
    "rewind": "Go back to an earlier event of this run and on from there; undone by going to the newest event.",
    "withdraw": "Take back what a run was told, while it waits.",
    "bisect": "Find the first step of a run whose snapshot breaks a check.",
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
