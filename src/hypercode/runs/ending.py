"""The end of a run, written down: by the worker that worked on it, or by whoever cancels one that none ever took up."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.attestation import Grade, Verdict
from hypercode.domain.event import RunFinished, RunStatusChanged, TestCounts
from hypercode.domain.memory import PLATFORM, Author, Draft, MemoryKind
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.mcp_protocol.caps import storable
from hypercode.runs.settling import settle_at_end
from hypercode.store.approvals import withdraw_approvals
from hypercode.store.audit_seals import seal_run
from hypercode.store.memories import add_memory, memories_of_run
from hypercode.store.questions import withdraw_questions
from hypercode.store.runs import child_ended
from hypercode.store.tables import RunRow
from hypercode.telemetry.metrics import RUN_SECONDS, RUNS_ENDED

SUMMARY_CHARS = 2_000
GOAL_CHARS = 500


class Outcome(BaseModel):
    """How a run ended, before it is written down."""

    model_config = ConfigDict(frozen=True)

    status: RunStatus
    error_code: str | None = None
    error_message: str | None = None
    error_hint: str | None = None
    summary: str = ""


class Used(BaseModel):
    """What the run used, as its last event tells it."""

    model_config = ConfigDict(frozen=True)

    cost: float
    tokens_in: int
    tokens_out: int
    turns: int
    elapsed_s: float


def count_end(run: RunRow, event: RunFinished) -> None:
    RUNS_ENDED.labels(run.role, run.status, event.proof.value).inc()
    RUN_SECONDS.labels(run.role, run.status).observe(event.elapsed_s)


async def write_end(
    session: AsyncSession,
    run: RunRow,
    outcome: Outcome,
    head: dict[str, Any] | None = None,
    verified: dict[str, Any] | None = None,
) -> RunFinished:
    """The run's row, what was told it last, its last event, the wake-up of a waiting parent, the seal on its audit.

    The run is locked. One that no worker ever took up is ended by whoever cancels it.
    """
    now = datetime.now(UTC)
    run.ended_at, run.wait_reason, run.parked_at, run.queued_at = now, None, None, None
    await settle_at_end(session, run, outcome.status)
    run.status = outcome.status.value
    run.error_code, run.error_message = outcome.error_code, outcome.error_message
    used = Used(
        cost=run.cost_usd,
        tokens_in=run.tokens_in,
        tokens_out=run.tokens_out,
        turns=run.turns,
        elapsed_s=(now - run.created_at).total_seconds(),
    )
    ended, event = run_ended(outcome, used, [str(path) for path in run.protected_paths or ()], head, verified)
    await log.append(session, run.id, "finished", [ended, event])
    await withdraw_approvals(session, run.id)
    await withdraw_questions(session, run.id)
    if run.parent_run_id is not None:
        await child_ended(session, run.parent_run_id)
    if not await memories_of_run(session, run.id, MemoryKind.HANDOFF):
        await remember_run(session, run, outcome, event)
    await seal_run(session, run.id)
    return event


def run_ended(
    outcome: Outcome,
    used: Used,
    protected: list[str],
    head: dict[str, Any] | None,
    verified: dict[str, Any] | None,
) -> tuple[RunStatusChanged, RunFinished]:
    """The last two events of a run."""
    verdict = Verdict.model_validate(verified["verdict"]) if verified else None
    finished = RunFinished(
        status=outcome.status,
        proof=verdict.grade if verdict else Grade.UNPROVED,
        reason=verdict.reason if verdict else (outcome.error_message or "Nothing was judged."),
        verified=verdict.verified if verdict else False,
        attestation=verified["attestation"] if verified else None,
        diff=head["artifact_id"] if head else None,
        protected_paths=protected,
        tests=TestCounts(
            passed=verdict.head_passed if verdict else 0, failed=verdict.head_failed if verdict else 0
        ),
        error_code=outcome.error_code,
        error_message=outcome.error_message,
        error_hint=outcome.error_hint,
        **used.model_dump(),
    )
    return RunStatusChanged(status=outcome.status, wait_reason=None, detail=finished.reason), finished


async def remember_run(session: AsyncSession, run: RunRow, outcome: Outcome, event: RunFinished) -> None:
    """Leave a short summary to the next run where the agent left no hand-off: its last words, and what was shown."""
    said = outcome.summary or outcome.error_message or ""
    author = Author(
        organisation_id=run.organisation_id,
        project_id=run.project_id,
        task_id=run.task_id,
        run_id=run.id,
        author=PLATFORM,
        source_call="finish",
    )
    draft = Draft(
        kind=MemoryKind.RUN_SUMMARY,
        text=_short(said, SUMMARY_CHARS) or "It ended without a word.",
        details={
            "task": _short(run.goal, GOAL_CHARS),
            "ended": f"{event.status.value}, proof: {event.proof.value}",
        },
    )
    await add_memory(session, author, draft)


def _short(text: str, limit: int) -> str:
    plain = str(storable(text)).strip()
    return plain if len(plain) <= limit else f"{plain[:limit]} …"
