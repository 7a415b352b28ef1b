"""``hypercode``: the composition root. Each command is a module, loaded only when it is called."""

import sys

import typer
from rich.console import Console

from hypercode.cli.lazy import LazyCommands
from hypercode.cli.show import Terminal
from hypercode.domain.errors import HyperCodeError

COMMANDS = {
    "run": "Work on a repository and check the result; needs no running server.",
    "apply": "Apply the diff of a run to your repository.",
    "task": "Tasks that are at work or done: see, steer, follow.",
    "up": "Start the whole platform on this machine.",
    "doctor": "Say what works on this machine, and what to do about the rest.",
    "verify": "Check the signature of an attestation and say what it states.",
    "policy": "Who may call what: show, explain and test the rules.",
    "audit": "Show what the tools were asked to do, and check that record.",
    "secret": "Secrets of a project: set, list, delete.",
    "retention": "Old runs as archives: plan, run, restore.",
    "admin": "The first admin, and forgotten passwords.",
    "purge": "Remove everything this platform keeps on this machine.",
    "gateway": "Run the gateway process.",
    "worker": "Run a worker process.",
    "tools": "Run the tools process.",
    "sandboxd": "Run the sandbox process.",
    "verifier": "Run the verifier process.",
    "migrate": "Bring the database to this version.",
    "keys": "Make the keys of an instance, for Compose and Kubernetes.",
    "openapi": "Print the OpenAPI document.",
}
EXIT_BAD_INPUT, EXIT_PLATFORM = 2, 5
BAD_INPUT = ("INVALID_ARGUMENT", "INVALID_POLICY", "NOT_FOUND", "CONFLICT")


class Commands(LazyCommands):
    package = "hypercode.cli"
    commands_help = COMMANDS
    # Started by the supervisor.
    internal = ("forkserver",)


app = typer.Typer(
    cls=Commands,
    name="hypercode",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def hypercode() -> None:
    """A self-hosted AI coding platform: agents work in containers, the platform checks the result itself."""


def main() -> None:
    try:
        app()
    except HyperCodeError as error:
        Terminal(Console()).failed(error)
        sys.exit(EXIT_BAD_INPUT if error.code in BAD_INPUT else EXIT_PLATFORM)


if __name__ == "__main__":
    main()
