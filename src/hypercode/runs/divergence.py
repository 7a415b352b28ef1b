"""Where a replay went another way than the recording, for a person to read: the step, the event, a diff."""

import difflib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from hypercode.agents.intent import CallModel
from hypercode.llm.base import Message

SHOWN_LINES = 80
SHOWN_LINE = 300
SHOWN_END = 40


class Divergence(BaseModel):
    """``step`` and ``event`` (the event's key, or none) say where; ``what`` in words, ``diff`` in lines."""

    model_config = ConfigDict(frozen=True)

    step: str
    event: str | None
    what: str
    expected: Any
    came: Any
    diff: list[str]


class Difference(Exception):
    """The replay's first divergence; it ends there."""

    def __init__(self, divergence: Divergence) -> None:
        super().__init__(divergence.what)
        self.divergence = divergence

    @classmethod
    def of_steps(cls, due: str, came: str, asked: BaseModel | None) -> "Difference":
        """Another step came than was recorded at this place."""
        what = f"The next step recorded is {due}; {came} came."
        diff = [f"-{due}", f"+{came}", *(_lines(asked) if asked is not None else ())]
        return cls(_divergence(came, None, what, due, came, diff))

    @classmethod
    def of_questions(
        cls, step: str, expected: str, came: str, before: BaseModel | None, asked: BaseModel
    ) -> "Difference":
        """The step asks something else; what was asked before is known where the change is one of the recording."""
        what = "The step asks something else than was recorded."
        if before is not None:
            diff = _diff(_lines(before), _lines(asked))
        else:
            # What was recorded of the question is its digest; most often the end of it is new.
            diff = [f"-{expected}", f"+{came}", "The end of what it now asks:", *_lines(asked)[-SHOWN_END:]]
        return cls(_divergence(step, None, what, expected, came, diff))

    @classmethod
    def of_events(
        cls, step: str, key: str, expected: dict[str, Any] | None, came: dict[str, Any] | None
    ) -> "Difference":
        """The step is told by another event."""
        if expected is None:
            what = "The step tells an event that was not recorded."
        elif came is None:
            what = "The step no longer tells an event that was recorded."
        else:
            what = f"{expected['type']} says something else than was recorded."
        diff = _diff(_json_lines(expected), _json_lines(came))
        return cls(_divergence(step, key, what, expected, came, diff))


def _divergence(
    step: str, event: str | None, what: str, expected: Any, came: Any, diff: list[str]
) -> Divergence:
    left_out = len(diff) - SHOWN_LINES
    shown = [line[:SHOWN_LINE] for line in diff[:SHOWN_LINES]]
    if left_out > 0:
        shown.append(f"({left_out} more lines)")
    return Divergence(step=step, event=event, what=what, expected=expected, came=came, diff=shown)


def _diff(expected: list[str], came: list[str]) -> list[str]:
    return list(difflib.unified_diff(expected, came, "recorded", "replayed", n=2, lineterm=""))


def _lines(asked: BaseModel) -> list[str]:
    if isinstance(asked, CallModel):
        return [line for message in asked.messages for line in _message_lines(message)]
    return _json_lines(asked.model_dump(mode="json"))


def _message_lines(message: Message) -> list[str]:
    calls = [
        f"  calls {call.tool} {json.dumps(call.arguments, ensure_ascii=False)}" for call in message.calls
    ]
    data = [] if message.data is None else [f"  data {json.dumps(message.data, ensure_ascii=False)}"]
    return [f"{message.role}:", *(f"  {line}" for line in message.content.splitlines()), *calls, *data]


def _json_lines(value: dict[str, Any] | None) -> list[str]:
    if value is None:
        return []
    # A line break in a text is shown as one.
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False).replace("\\n", "\n").split("\n")
