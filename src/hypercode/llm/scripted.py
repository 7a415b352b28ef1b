"""A model that answers from a YAML file: for tests, demonstrations, and timing the platform without a provider.

It keeps no state: the position in the script is the request's turn. The format is in
docs/reference/scripted-models.md.
"""

import asyncio
import re
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hypercode.domain.errors import InvalidArgument
from hypercode.llm.base import ModelReply, ModelRequest, Most, OnText, RequestedCall

BEYOND = "Done."
HINT = "docs/reference/scripted-models.md describes the format"
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScriptedCall(_Part):
    """One tool call of a scripted turn."""

    tool: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)


class ScriptedTurn(_Part):
    """What the model says and asks for in one turn; ``delay_s`` stands for the provider's time."""

    say: str = ""
    calls: list[ScriptedCall] = Field(default_factory=list)
    delay_s: float = Field(default=0.0, ge=0)


class ScriptedRun(_Part):
    """The turns of one run; ``match`` is a part of its goal, empty fits every goal."""

    match: str = ""
    turns: list[ScriptedTurn]


class ScriptedRuns(_Part):
    """Scripts by role. The first entry whose ``match`` stands in the run's goal is played."""

    architect: list[ScriptedRun] = Field(default_factory=list)
    coder: list[ScriptedRun] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        roles = cast("dict[str, object]", value)
        listed: dict[str, object] = {}
        for role, entry in roles.items():
            listed[role] = cast("object", [entry] if isinstance(entry, dict) else entry)
        return listed


class Script(_Part):
    """A whole file: ``turns`` for every run alike, or ``runs`` by role and goal."""

    turns: list[ScriptedTurn] | None = None
    runs: ScriptedRuns | None = None

    @model_validator(mode="after")
    def _either(self) -> "Script":
        if (self.turns is None) == (self.runs is None):
            raise ValueError("a script has either 'turns' or 'runs' at its top level")
        return self

    def turns_for(self, request: ModelRequest) -> list[ScriptedTurn]:
        """The turns that this request's run plays."""
        if self.runs is None:
            return self.turns or []
        delegates = any(tool.name == "task_delegate" for tool in request.tools)
        for run in self.runs.architect if delegates else self.runs.coder:
            if run.match in request.run_key:
                return run.turns
        return []


class ScriptedModel:
    """Plays a script. A turn beyond its end is a plain finish."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def complete(self, request: ModelRequest, on_text: OnText | None = None) -> ModelReply:
        """Answer with the turn of the script that the request stands at; what it says is spread over its delay."""
        turn = self._turn(request)
        await _say(turn, on_text)
        calls = [
            RequestedCall(id=f"call_{request.turn}_{index}", tool=call.tool, arguments=call.arguments)
            for index, call in enumerate(turn.calls)
        ]
        return ModelReply(
            text=turn.say,
            calls=calls,
            model=request.model,
            tokens_in=_tokens_in(request),
            tokens_out=_tokens_out(turn),
            cost_usd=0.0,
        )

    def most(self, request: ModelRequest) -> Most:
        """What it will take: the answer stands in the script."""
        return Most(tokens=_tokens_in(request) + _tokens_out(self._turn(request)), cost_usd=0.0)

    def _turn(self, request: ModelRequest) -> ScriptedTurn:
        turns = self._script.turns_for(request)
        beyond = request.turn > len(turns)
        return ScriptedTurn(say=BEYOND) if beyond else turns[request.turn - 1]

    async def aclose(self) -> None:
        """Nothing is held."""


async def _say(turn: ScriptedTurn, on_text: OnText | None) -> None:
    """Take the turn's time, word by word."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+", turn.say) if on_text and turn.delay_s else []
    for word in words:
        await asyncio.sleep(turn.delay_s / len(words))
        if on_text:
            on_text(word)
    if not words and turn.delay_s:
        await asyncio.sleep(turn.delay_s)


def _tokens_in(request: ModelRequest) -> int:
    return sum(len(message.content) for message in request.messages) // 4


def _tokens_out(turn: ScriptedTurn) -> int:
    return len(turn.model_dump_json()) // 4


def load_script(path: Path) -> Script:
    """Read a script; raises InvalidArgument that names the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"The script {path} can't be read: {error}", hint=HINT) from error
    return parse_script(text, str(path))


def parse_script(text: str, name: str) -> Script:
    """Parse a script's text; raises InvalidArgument that names the line."""
    try:
        content = yaml.load(text, LOADER)
    except yaml.YAMLError as error:
        raise InvalidArgument(
            f"{name} is no YAML: {_yaml_words(_better_placed(text, error))}", hint=HINT
        ) from error
    try:
        return Script.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        line = _line_of(yaml.compose(text, LOADER), first["loc"])
        raise InvalidArgument(f"{name}, line {line}: {where}: {first['msg']}", hint=HINT) from error


def _better_placed(text: str, error: yaml.YAMLError) -> yaml.YAMLError:
    """The same fault as the slower parser tells it: libyaml names the end of the file where something is left open."""
    try:
        yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError as better:
        return better
    return error


def _yaml_words(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error)


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of the deepest part of the file that the location names."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode) and isinstance(part, str):
            pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
            key, node = next(((key, value) for key, value in pairs if key.value == part), (None, None))
            line = _line(key) or line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            entries = cast("list[yaml.Node]", node.value)
            node = entries[part] if part < len(entries) else None
            line = _line(node) or line
    return line


def _line(node: yaml.Node | None) -> int:
    return node.start_mark.line + 1 if node is not None and node.start_mark is not None else 0
