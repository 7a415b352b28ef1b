"""What a person tells a run: one command a verb, each with a state that everybody can see until it is settled."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from hypercode.domain.fields import Storable

MAX_WORDS = 20_000
MAX_PENDING = 100
"""Commands of one run that wait; who sends more has a loop of their own."""


class Verb(StrEnum):
    """What can be told."""

    STEER = "steer"
    QUEUE = "queue"
    INTERRUPT = "interrupt"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    FORK = "fork"
    REWIND = "rewind"


class CommandState(StrEnum):
    """Where a command stands; all but the first are final."""

    REQUESTED = "requested"
    APPLIED = "applied"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_WORDS), Storable]
PerhapsWords = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_WORDS), Storable]
Seq = Annotated[int, Field(ge=1, lt=2**53)]
"""The number of an event of the run."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Steer(_Told):
    """Words that the agent reads before its next model call."""

    verb: Literal[Verb.STEER]
    text: Words


class Queue(_Told):
    """The agent's next goal, once it has finished the one it works on."""

    verb: Literal[Verb.QUEUE]
    text: Words


class Interrupt(_Told):
    """Stop the model call or tool call that is going on; then the words are read, if there are some."""

    verb: Literal[Verb.INTERRUPT]
    text: PerhapsWords = ""


class Pause(_Told):
    """Hold the run and all its children at their next legal boundary; they keep no worker."""

    verb: Literal[Verb.PAUSE]


class Resume(_Told):
    """Let a paused run and all its children go on."""

    verb: Literal[Verb.RESUME]


class Cancel(_Told):
    """End the run and all its children; what was changed so far is kept as the diff."""

    verb: Literal[Verb.CANCEL]


class Retry(_Told):
    """A new run of the same task: from scratch, or from the last step that the run which failed had finished."""

    verb: Literal[Verb.RETRY]
    from_failure: bool = False


class Fork(_Told):
    """A new run of the same task that goes on from an event of this one, in a workspace of its own as it was then."""

    verb: Literal[Verb.FORK]
    at_seq: Seq
    text: PerhapsWords = ""


class Rewind(_Told):
    """Go on from an earlier event, with the workspace as it was then. What came later is kept, and can be gone back to."""

    verb: Literal[Verb.REWIND]
    to_seq: Seq


NewCommand = Annotated[
    Steer | Queue | Interrupt | Pause | Resume | Cancel | Retry | Fork | Rewind, Field(discriminator="verb")
]


class RunCommand(BaseModel):
    """A command as the API shows it. ``code``, ``message`` and ``hint`` say why it was refused; ``made_run_id`` names
    the run that a retry or a fork made.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    run_id: str
    verb: Verb
    text: str
    seq: int | None
    state: CommandState
    requested_by: str
    requested_at: datetime
    settled_by: str | None
    settled_at: datetime | None
    code: str
    message: str
    hint: str
    made_run_id: str | None
