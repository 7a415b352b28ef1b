"""Events: immutable records ``(run_id, seq, type, payload, at)``, the one stream that everything shows.

Every type of event has one payload class here, named in ``PAYLOADS``. The same classes make the OpenAPI
schema, so the web's events are typed.
"""

from datetime import datetime
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict, create_model

from hypercode.domain.approval import ApprovalScope, ApprovalState
from hypercode.domain.attestation import Grade, Verdict
from hypercode.domain.budget import Budget, Limit, Usage
from hypercode.domain.check import Check
from hypercode.domain.deployment import DeploymentStatus
from hypercode.domain.plan import Plan
from hypercode.domain.preview import Preview
from hypercode.domain.question import QuestionState
from hypercode.domain.role import AgentRole
from hypercode.domain.run import RunStatus, WaitReason
from hypercode.domain.steering import CommandState, Verb
from hypercode.domain.tool_call import Touched


class Payload(BaseModel):
    """Base of all payloads; ``type`` is the event's type, ``noun.past_participle``."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: ClassVar[str]


class RunQueued(Payload):
    """The task was accepted and its run stands in a queue; ``routed_by`` says who chose the role."""

    type: ClassVar[str] = "run.queued"
    task_id: str
    role: AgentRole
    model: str
    prompt: str
    parent_run_id: str | None
    routed_by: str
    forked_from: str | None = None
    forked_at_seq: int | None = None


class RunStarted(Payload):
    """A worker took the run up."""

    type: ClassVar[str] = "run.started"
    role: AgentRole
    model: str
    base_commit: str
    base_note: str


class RunStatusChanged(Payload):
    """The run's status is now this."""

    type: ClassVar[str] = "run.status_changed"
    status: RunStatus
    wait_reason: WaitReason | None
    detail: str


class NoticeRaised(Payload):
    """Something a person should know: info, warning or error, with what to do."""

    type: ClassVar[str] = "notice.raised"
    level: Literal["info", "warning", "error"]
    code: str
    message: str
    hint: str


class CommandRequested(Payload):
    """A person told the run something; until ``command.settled`` it is pending."""

    type: ClassVar[str] = "command.requested"
    command_id: str
    verb: Verb
    text: str
    seq: int | None
    by: str


class CommandSettled(Payload):
    """What became of a command: applied, refused (``code``, ``message`` and ``hint`` say why) or withdrawn."""

    type: ClassVar[str] = "command.settled"
    command_id: str
    verb: Verb
    state: CommandState
    by: str | None
    code: str
    message: str
    hint: str
    made_run_id: str | None


class EnvironmentPhaseChanged(Payload):
    """The environment is in this phase of being made."""

    type: ClassVar[str] = "environment.phase_changed"
    phase: str
    message: str


class EnvironmentPrepared(Payload):
    """The environment stands; checks will run in this image."""

    type: ClassVar[str] = "environment.prepared"
    image_id: str
    recipe_source: str
    recipe_digest: str
    cached: bool
    build_s: float


class ChecksFrozen(Payload):
    """These checks decide, and what they reported at base."""

    type: ClassVar[str] = "checks.frozen"
    checks: list[Check]
    detected: bool
    base_passed: int
    base_failed: int
    base_red: list[str]


class SandboxStarted(Payload):
    """The run's container is up; durations of its start by phase, in milliseconds."""

    type: ClassVar[str] = "sandbox.started"
    sandbox_id: str
    phases_ms: dict[str, float]


class TurnCompleted(Payload):
    """One model call ended: what it said, which tools it asks for, what it cost."""

    type: ClassVar[str] = "turn.completed"
    turn: int
    text: str
    tool_calls: list[str]
    model: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    duration_ms: float


class ToolCallRequested(Payload):
    """The agent asks for a tool; ``arguments`` are shortened for show."""

    type: ClassVar[str] = "tool_call.requested"
    call_id: str
    turn: int
    tool: str
    arguments: str


class SecretUsed(Payload):
    """The run was given a secret of its project; its value is in no event."""

    type: ClassVar[str] = "secret.used"
    name: str
    version: int


class ToolCallProgressed(Payload):
    """A long tool call says how far it is."""

    type: ClassVar[str] = "tool_call.progressed"
    call_id: str
    message: str


class ToolCallCompleted(Payload):
    """A tool call ended; ``result`` is its text, shortened for show."""

    type: ClassVar[str] = "tool_call.completed"
    call_id: str
    tool: str
    ok: bool
    code: str
    summary: str
    result: str
    duration_ms: float


class ToolCallUncertain(Payload):
    """The platform was killed during this call; whether its effect happened is unknown, and the model is told."""

    type: ClassVar[str] = "tool_call.uncertain"
    call_id: str
    tool: str


class ApprovalRequested(Payload):
    """A rule wants a person to approve this call first; ``preview`` is the exact call."""

    type: ClassVar[str] = "approval.requested"
    approval_id: str
    call_id: str
    tool: str
    preview: Preview
    rule: str
    reason: str
    touched: Touched
    expires_at: datetime


class ApprovalDecided(Payload):
    """A person decided, or the time was over; ``state`` is approved, denied or expired."""

    type: ClassVar[str] = "approval.decided"
    approval_id: str
    call_id: str
    state: ApprovalState
    scope: ApprovalScope | None
    by: str | None
    note: str


class QuestionAsked(Payload):
    """The agent asks a person."""

    type: ClassVar[str] = "question.asked"
    question_id: str
    question: str
    options: list[str]
    expires_at: datetime


class QuestionAnswered(Payload):
    """A person answered, or the time was over; ``state`` is answered or expired."""

    type: ClassVar[str] = "question.answered"
    question_id: str
    state: QuestionState
    answer: str | None
    by: str | None


class BudgetReached(Payload):
    """The run is paused: its task's budget, or its own share of it, does not cover the next call."""

    type: ClassVar[str] = "budget.reached"
    limit: Limit
    message: str
    limits: Budget
    used: Usage
    reserved: Usage
    done: str
    expires_at: datetime


class BudgetRaised(Payload):
    """Somebody changed the task's limits; paused runs that they cover go on."""

    type: ClassVar[str] = "budget.raised"
    limits: Budget
    before: Budget
    by: str


class PlanSubmitted(Payload):
    """The Architect's plan."""

    type: ClassVar[str] = "plan.submitted"
    plan_id: str
    version: int
    plan: Plan


class PlanItemChanged(Payload):
    """A plan item's state: delegated, finished, merged, conflicted or failed."""

    type: ClassVar[str] = "plan_item.changed"
    item_id: str
    status: Literal["delegated", "finished", "merged", "conflicted", "failed"]
    child_run_id: str | None
    detail: str


class DeploymentChanged(Payload):
    """A deployment's status; ``detail`` says why, where there is a why."""

    type: ClassVar[str] = "deployment.changed"
    deployment_id: str
    status: DeploymentStatus
    detail: str
    image: str
    port: int


class DiffExported(Payload):
    """The diff between base and head, announced when it is stored."""

    type: ClassVar[str] = "diff.exported"
    artifact_id: str
    files: int
    insertions: int
    deletions: int
    head_tree: str


class VerificationPhaseChanged(Payload):
    """The platform checks the result; this is where it is."""

    type: ClassVar[str] = "verification.phase_changed"
    phase: str
    message: str


class VerificationFinished(Payload):
    """The platform's verdict; the attestation is the signed statement."""

    type: ClassVar[str] = "verification.finished"
    verdict: Verdict
    attestation_artifact_id: str | None
    words: str


class TestCounts(BaseModel):
    """How many tests the frozen checks reported at head."""

    __test__ = False
    passed: int
    failed: int


class RunFinished(Payload):
    """The last event of a run, and the machine-readable result of ``hypercode run --json``."""

    type: ClassVar[str] = "run.finished"
    status: RunStatus
    proof: Grade
    reason: str
    verified: bool
    attestation: str | None
    diff: str | None
    protected_paths: list[str]
    tests: TestCounts
    cost: float
    tokens_in: int
    tokens_out: int
    turns: int
    elapsed_s: float
    error_code: str | None
    error_message: str | None
    error_hint: str | None


PAYLOADS: dict[str, type[Payload]] = {
    payload.type: payload
    for payload in (
        RunQueued,
        RunStarted,
        RunStatusChanged,
        NoticeRaised,
        CommandRequested,
        CommandSettled,
        EnvironmentPhaseChanged,
        EnvironmentPrepared,
        ChecksFrozen,
        SandboxStarted,
        TurnCompleted,
        ToolCallRequested,
        SecretUsed,
        ToolCallProgressed,
        ToolCallCompleted,
        ToolCallUncertain,
        ApprovalRequested,
        ApprovalDecided,
        QuestionAsked,
        QuestionAnswered,
        BudgetReached,
        BudgetRaised,
        PlanSubmitted,
        PlanItemChanged,
        DeploymentChanged,
        DiffExported,
        VerificationPhaseChanged,
        VerificationFinished,
        RunFinished,
    )
}


class Event(BaseModel):
    """An event as stored; ``payload`` has the shape of ``PAYLOADS[type]``."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    seq: int
    type: str
    payload: dict[str, Any]
    at: datetime


def typed_events() -> list[type[BaseModel]]:
    """Return one model for each type of event, for the OpenAPI schema (a union on ``type``)."""
    return [
        create_model(
            f"{payload.__name__}Event",
            run_id=(str, ...),
            seq=(int, ...),
            type=cast(Any, (Literal[name], ...)),
            payload=(payload, ...),
            at=(datetime, ...),
        )
        for name, payload in PAYLOADS.items()
    ]
