"""What a task and all its descendants may use."""

from pydantic import BaseModel, ConfigDict, Field


class Budget(BaseModel):
    """Limits of a task; None means no limit. Money in US dollars, wall time in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_turns: int | None = Field(default=100, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_cost_usd: float | None = Field(default=None, ge=0)
    max_wall_s: float | None = Field(default=3600, gt=0)


class Usage(BaseModel):
    """What was used so far, in the units of Budget. ``cost_known`` is False once a price was missing."""

    model_config = ConfigDict(frozen=True)

    turns: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    cost_known: bool = True
