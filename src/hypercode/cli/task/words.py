"""Options that several verbs share."""

from typing import Annotated

import typer

Text = Annotated[str, typer.Argument(metavar="TEXT", help="What the agent is told.")]
PerhapsText = Annotated[str, typer.Argument(metavar="[TEXT]", help="What the agent is told.")]
