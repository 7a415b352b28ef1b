"""A question: what an agent asks a person, and their answer. The answer is data, as all text that comes in."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

MAX_ANSWER = 8000
BY_CLIENT = "the client that asked"
"""Stands in ``answered_by`` for an answer that came with a run's grant alone: nobody knows whether a person gave it."""


class QuestionState(StrEnum):
    """Where a question stands."""

    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"


class Answer(BaseModel):
    """One of the options, or a person's own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answer: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_ANSWER)]


class Question(BaseModel):
    """A question as the API shows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    project_id: str
    task_id: str
    run_id: str
    question: str
    options: list[str]
    state: QuestionState
    requested_at: datetime
    expires_at: datetime
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None
