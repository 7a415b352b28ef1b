"""What the loop asks for next, and what it is given back. The executor in ``runs`` does the rest."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hypercode.domain.run import Ending, RunStatus
from hypercode.llm.base import Message, ModelReply, RequestedCall, ToolSpec


class Frozen(BaseModel):
    """Intents and their results are stored as steps of a run, so they are plain, frozen data."""

    model_config = ConfigDict(frozen=True)


class CallModel(Frozen):
    """Ask the model; answered by a ``ModelAnswer``. ``turn`` is 1-based.

    ``may_end`` says that a reply in words alone would end the run: then what a person left for that moment is given out.
    """

    messages: list[Message]
    tools: list[ToolSpec]
    turn: int
    may_end: bool = False


class CallTools(Frozen):
    """Call these tools, in order, or side by side when ``parallel``; answered by ``ToolsDone``."""

    calls: list[RequestedCall]
    parallel: bool = False


class WaitForChildren(Frozen):
    """Wait until these delegated runs have ended; answered by ``ChildrenEnded``."""

    run_ids: list[str]


class Finish(Frozen):
    """The loop is over. ``summary`` is the agent's own claim, in words for a person."""

    ending: Ending
    summary: str


class CpuReading(Frozen):
    """The CPU time that a sandbox has used since it was started, in microseconds, as it was after a call."""

    sandbox: str
    whole_us: int


class ModelAnswer(ModelReply):
    """A reply, and the words of a person around it: ``before`` stood in the request after its messages, ``after`` is
    what the agent is told instead of ending.
    """

    before: list[str] = Field(default_factory=list)
    after: list[str] = Field(default_factory=list)


class ToolOutcome(Frozen):
    """What a tool call came to: ``code`` is ``OK`` or a stable error code, ``text`` for reading, ``data`` typed."""

    ok: bool
    code: str
    text: str
    data: dict[str, Any] = Field(default_factory=dict)
    duration_ms: float = 0.0
    cpu: CpuReading | None = None


class ToolsDone(Frozen):
    """One outcome for each call of ``CallTools``, in the same order."""

    outcomes: list[ToolOutcome]


class ChildEnded(Frozen):
    """How a delegated run ended; ``proof`` is the grade the platform gave it, ``summary`` its own words."""

    run_id: str
    status: RunStatus
    proof: str | None = None
    summary: str = ""


class ChildrenEnded(Frozen):
    """One entry for each run of ``WaitForChildren``, or for those that had ended when a person ``interrupted``."""

    children: list[ChildEnded]
    interrupted: bool = False


Intent = CallModel | CallTools | WaitForChildren | Finish
IntentResult = ModelAnswer | ModelReply | ToolsDone | ChildrenEnded
