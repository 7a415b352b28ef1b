"""The events that tell of an agent's steps: made of what was asked and what came back, and of nothing else.

The executor writes them, and a replay makes them again from the answers that were recorded.
"""

import json

from hypercode.agents.intent import ToolOutcome
from hypercode.domain.event import (
    Payload,
    PlanItemChanged,
    PlanSubmitted,
    RunStatusChanged,
    ToolCallCompleted,
    ToolCallRequested,
    ToolCallUncertain,
    TurnCompleted,
)
from hypercode.domain.plan import Plan
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.llm.base import ModelReply, RequestedCall

SHOWN_ARGUMENTS = 4_000
SHOWN_RESULT = 8_000
CHILDREN_AWAITED = RunStatusChanged(
    status=RunStatus.WAITING, wait_reason=WaitReason.CHILDREN, detail="Coders work on the plan"
)
STOPPED = RunStatusChanged(
    status=RunStatus.RUNNING, wait_reason=None, detail="Stopped by a person; its diff is kept"
)
CHILDREN_ENDED = RunStatusChanged(status=RunStatus.RUNNING, wait_reason=None, detail="The Coders have ended")


def turn_completed(turn: int, reply: ModelReply, duration_ms: float) -> TurnCompleted:
    return TurnCompleted(
        turn=turn,
        text=reply.text,
        tool_calls=[call.tool for call in reply.calls],
        model=reply.model,
        tokens_in=reply.tokens_in,
        tokens_out=reply.tokens_out,
        cost_usd=reply.cost_usd or 0.0,
        duration_ms=duration_ms,
    )


def call_requested(call: RequestedCall, key: str, turn: int) -> ToolCallRequested:
    arguments = json.dumps(call.arguments, ensure_ascii=False, indent=1)
    return ToolCallRequested(
        call_id=key, turn=turn, tool=call.tool, arguments=_shown(arguments, SHOWN_ARGUMENTS)
    )


def call_completed(call: RequestedCall, key: str, outcome: ToolOutcome) -> list[Payload]:
    """The events that a finished call is told by."""
    first = outcome.text.strip().splitlines()[0] if outcome.text.strip() else ""
    payloads: list[Payload] = [
        ToolCallCompleted(
            call_id=key,
            tool=call.tool,
            ok=outcome.ok,
            code=outcome.code,
            summary=first[:200],
            result=_shown(outcome.text, SHOWN_RESULT),
            duration_ms=outcome.duration_ms,
        )
    ]
    if outcome.code == "UNCERTAIN":
        payloads.append(ToolCallUncertain(call_id=key, tool=call.tool))
    if call.tool == "plan_submit" and outcome.ok:
        payloads.append(
            PlanSubmitted(
                plan_id=str(outcome.data["plan_id"]),
                version=int(outcome.data["version"]),
                plan=Plan.model_validate(call.arguments),
            )
        )
    if call.tool == "task_delegate" and outcome.ok:
        payloads.append(
            PlanItemChanged(
                item_id=str(call.arguments["item_id"]),
                status="delegated",
                child_run_id=str(outcome.data["run_id"]),
                detail="Handed to a Coder.",
            )
        )
    return payloads


def _shown(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = limit * 3 // 4
    return f"{text[:head]}\n… {len(text) - limit} characters left out …\n{text[head - limit :]}"
