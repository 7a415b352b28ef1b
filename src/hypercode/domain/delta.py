"""What a model says while it says it: sent to whoever watches, kept nowhere, and void once the turn's event is there."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Delta(BaseModel):
    """A piece of a turn's text. It may get lost; ``turn.completed`` holds the whole.

    ``attempt`` names one try of the model call: what an earlier one said is void. ``at`` is where the text begins in
    what this attempt has said: 0 begins anew, and more than is known means that something between was lost.
    """

    model_config = ConfigDict(frozen=True)

    type: Literal["delta"] = "delta"
    run_id: str
    turn: int
    attempt: str = Field(max_length=40)
    at: int = Field(ge=0)
    text: str
