"""One thing changed in a recording, to see where the run goes another way: a model's answer, a tool's result, the prompt."""

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import ValidationError

from hypercode.agents.intent import ToolOutcome
from hypercode.domain.errors import InvalidArgument
from hypercode.llm.base import ModelReply
from hypercode.runs.recording import Recording

ANSWER_HINT = (
    'Plain text is an answer without calls; JSON is {"text": …, "calls": [{"id", "tool", "arguments"}]}.'
)
RESULT_HINT = 'Plain text replaces the result\'s text; JSON is {"ok": …, "code": …, "text": …, "data": …}.'


def with_prompt(recording: Recording, prompt: str) -> Recording:
    """The same run of another task."""
    return _with(recording, "begin", {"goal": prompt})


def with_answer(recording: Recording, turn: str, text: str) -> Recording:
    """The model answers this in a turn."""
    answer: dict[str, Any] = {"text": text, "calls": [], **_parsed(text)}
    try:
        ModelReply.model_validate({**_value(recording, f"model:{turn}"), **answer})
    except ValidationError as error:
        raise InvalidArgument(f"This is no answer of a model: {error}", hint=ANSWER_HINT) from error
    return _with(recording, f"model:{turn}", answer)


def with_result(recording: Recording, call: str, text: str) -> Recording:
    """A tool call, named TURN.N as in its events, comes to this."""
    turn, _, number = call.partition(".")
    outcomes = cast(list[Any], _value(recording, f"tools:{turn}").get("outcomes", []))
    if not number.isdigit() or int(number) >= len(outcomes):
        raise InvalidArgument(
            f"There is no tool call {call} in the recording.", hint="Such as 3.0: the first of turn 3."
        )
    changed = {**outcomes[int(number)], "text": text, **_parsed(text)}
    try:
        outcomes = [
            *outcomes[: int(number)],
            ToolOutcome.model_validate(changed).model_dump(mode="json"),
            *outcomes[int(number) + 1 :],
        ]
    except ValidationError as error:
        raise InvalidArgument(f"This is no result of a tool: {error}", hint=RESULT_HINT) from error
    return _with(recording, f"tools:{turn}", {"outcomes": outcomes})


def _parsed(text: str) -> Mapping[str, Any]:
    """An object when the text is one; any other text says what it says."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _value(recording: Recording, step: str) -> dict[str, Any]:
    recorded = recording.steps.get(step)
    if recorded is None or "ok" not in recorded.result:
        raise InvalidArgument(
            f"The recording has no result of the step {step}.", hint="`--json` lists the steps."
        )
    return cast(dict[str, Any], recorded.result["ok"])


def _with(recording: Recording, step: str, changed: Mapping[str, Any]) -> Recording:
    recorded = recording.steps[step]
    result = recorded.result | {"ok": {**_value(recording, step), **changed}}
    steps = {**recording.steps, step: recorded.model_copy(update={"result": result})}
    return recording.model_copy(update={"steps": steps})
