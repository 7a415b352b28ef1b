"""What the executor would write of a step, made again from its recorded result: by the functions that the live run uses.

Events that came from outside (progress, approvals, phases of a build) are nobody's decision here: they are kept as recorded.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from hypercode.agents.intent import CallModel, CallTools, ToolsDone
from hypercode.domain.environment import Environment
from hypercode.domain.event import DiffExported, Payload, VerificationFinished
from hypercode.events.eras import apart, in_era
from hypercode.llm.base import ModelReply
from hypercode.platform_api import types as api
from hypercode.runs.ending import Outcome, Used, run_ended
from hypercode.runs.preparation import (
    BEGUN,
    RunFacts,
    checks_frozen,
    environment_prepared,
    sandbox_started,
    workspace_opened,
)
from hypercode.runs.telling import (
    CHILDREN_AWAITED,
    CHILDREN_ENDED,
    STOPPED,
    call_completed,
    call_requested,
    turn_completed,
)

Told = Iterator[tuple[str, Sequence[Payload]]]

_OWNERS = (
    (re.compile(r"begin|workspace|environment|checks|sandbox|stopped|diff"), r"\g<0>"),
    (re.compile(r"verified"), "verify"),
    (re.compile(r"finished"), "finish"),
    (re.compile(r"model:\d+"), r"\g<0>"),
    (re.compile(r"tool:(\d+)\.\d+:(requested|completed)"), r"tools:\1"),
    (re.compile(r"children:(\d+):(waiting|ended)"), r"children:\1"),
)


def step_of(step_key: str, n: int) -> str | None:
    """The step that tells this event again, by its name in its era, or None when it came from outside."""
    era, key = apart(step_key)
    if key == "checks" and n > 0:
        return None  # what was wrong with a check at base stands in no result
    for pattern, step in _OWNERS:
        if match := pattern.fullmatch(key):
            return era + match.expand(step)
    return None


class Retelling:
    """Tells the steps of one run; knows what the steps before came to."""

    def __init__(self, used: Used, protected_paths: list[str]) -> None:
        self._used = used
        self._protected = protected_paths
        self._facts: RunFacts | None = None
        self._head: dict[str, Any] | None = None
        self._verified: dict[str, Any] | None = None

    def tell(self, name: str, result: Mapping[str, Any], asked: BaseModel | None) -> Told:
        """Yield step keys and payloads of one step that came to a value."""
        kind, _, number = name.partition(":")
        if kind in ("model", "tools", "children"):
            yield from self._agent(kind, int(number), result, asked)
        elif kind == "finish" and isinstance(asked, Outcome):
            yield "finished", run_ended(asked, self._used, self._protected, self._head, self._verified)
        elif kind in ("stopped", "diff", "verify"):
            yield from self._after(kind, dict(result))
        else:
            yield from self._before(kind, dict(result))

    def _agent(self, kind: str, turn: int, result: Mapping[str, Any], asked: BaseModel | None) -> Told:
        if kind == "model" and isinstance(asked, CallModel):
            yield f"model:{turn}", [turn_completed(turn, ModelReply.model_validate(result), 0.0)]
        elif kind == "tools" and isinstance(asked, CallTools):
            outcomes = ToolsDone.model_validate(result).outcomes
            for n, (call, outcome) in enumerate(zip(asked.calls, outcomes, strict=True)):
                key = f"{turn}.{n}"
                yield f"tool:{key}:requested", [call_requested(call, in_era(key), turn)]
                yield f"tool:{key}:completed", call_completed(call, in_era(key), outcome)
        elif kind == "children":
            yield f"children:{turn}:waiting", [CHILDREN_AWAITED]
            yield f"children:{turn}:ended", [CHILDREN_ENDED]

    def _before(self, kind: str, result: dict[str, Any]) -> Told:
        if kind == "begin":
            self._facts = RunFacts.model_validate(result)
            yield "begin", [BEGUN]
        elif kind == "workspace" and self._facts is not None:
            yield "workspace", workspace_opened(self._facts, api.WorkspaceOpened.model_validate(result))
        elif kind == "environment":
            yield "environment", [environment_prepared(Environment.model_validate(result))]
        elif kind == "sandbox":
            yield "sandbox", [sandbox_started(api.SandboxOpened.model_validate(result))]
        elif kind == "checks" and self._facts is not None and self._facts.parent_run_id is None:
            yield "checks", [checks_frozen(self._facts, result)]

    def _after(self, kind: str, result: dict[str, Any]) -> Told:
        if kind == "stopped":
            yield "stopped", [STOPPED]
        elif kind == "diff":
            self._head = result
            if "files" in result:  # a run of an older version has no such entry
                told = {name: result[name] for name in DiffExported.model_fields}
                yield "diff", [DiffExported.model_validate(told)]
        elif kind == "verify":
            self._verified = result
            if "words" in result:
                told = {"verdict": result["verdict"], "attestation_artifact_id": result["attestation"]}
                yield "verified", [VerificationFinished.model_validate(told | {"words": result["words"]})]
