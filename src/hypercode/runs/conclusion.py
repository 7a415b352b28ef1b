"""Everything after the agent: the diff, the platform's own verification, the last event, the clean-up."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.attestation import Grade, Verdict
from hypercode.domain.event import (
    DiffExported,
    RunFinished,
    RunStatusChanged,
    TestCounts,
    VerificationFinished,
    VerificationPhaseChanged,
)
from hypercode.domain.memory import PLATFORM, Author, Draft, MemoryKind
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.mcp_protocol.caps import storable
from hypercode.platform_api import types as api
from hypercode.policy.decide import protected_paths
from hypercode.runs.preparation import RunFacts
from hypercode.runs.services import Services
from hypercode.store.approvals import withdraw_approvals
from hypercode.store.artifacts import get_artifact
from hypercode.store.audit_seals import seal_run
from hypercode.store.budgets import drop_pause, settle_lost
from hypercode.store.memories import add_memory, memories_of_run
from hypercode.store.questions import withdraw_questions
from hypercode.store.runs import child_ended, get_run, locked_run
from hypercode.store.tables import RunRow
from hypercode.telemetry.metrics import RUN_SECONDS, RUNS_ENDED

DIFF_NAME = "changes.diff"
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


async def export_diff(services: Services, facts: RunFacts) -> dict[str, Any]:
    """Take the work tree as it is now, and keep its comparison with the base."""
    exported = await services.platform.diff_export(
        api.DiffExport(
            run_id=facts.run_id, workspace_id=facts.workspace_id, message=facts.goal.splitlines()[0][:200]
        )
    )
    async with services.database.transaction() as session:
        run = await get_run(session, facts.run_id)
        artifact = await services.artifacts.put(
            session, run, ArtifactKind.DIFF, DIFF_NAME, exported.diff.encode(), "text/x-diff"
        )
        run.head_commit = exported.head_commit
        run.protected_paths = list(protected_paths(services.policy, tuple(exported.files)))
        event = DiffExported(
            artifact_id=artifact.id,
            files=len(exported.files),
            insertions=exported.insertions,
            deletions=exported.deletions,
            head_tree=exported.head_tree,
        )
        await log.append(session, run, "diff", [event])
    return {"head_commit": exported.head_commit, **event.model_dump(mode="json")}


async def verify(services: Services, facts: RunFacts, head: dict[str, Any]) -> dict[str, Any]:
    """Have the verifier check the exported commit in clean containers and sign what it saw."""
    await services.record(
        facts.run_id,
        "verifying",
        RunStatusChanged(
            status=RunStatus.VERIFYING, wait_reason=None, detail="The platform checks the result"
        ),
        status=RunStatus.VERIFYING.value,
    )
    phases = 0

    async def progress(phase: str, message: str) -> None:
        nonlocal phases
        phases += 1
        await services.record(
            facts.run_id, f"verification:{phases}", VerificationPhaseChanged(phase=phase, message=message)
        )

    async with services.database.transaction() as session:
        diff = (await services.artifacts.read(await get_artifact(session, head["artifact_id"]))).decode()
    verified = await services.verifier.verify(
        run_id=facts.run_id,
        head_commit=head["head_commit"],
        head_tree=head["head_tree"],
        diff=diff,
        progress=progress,
    )
    told = VerificationFinished(
        verdict=verified.verdict,
        attestation_artifact_id=verified.attestation_artifact_id,
        words=verified.words,
    )
    await services.record(
        facts.run_id,
        "verified",
        told,
        proof=verified.verdict.grade.value,
        verified=verified.verdict.verified,
    )
    return {
        "verdict": verified.verdict.model_dump(mode="json"),
        "attestation": verified.attestation_artifact_id,
        "words": verified.words,
    }


async def finish(
    services: Services,
    facts: RunFacts | None,
    run_id: str,
    outcome: Outcome,
    head: dict[str, Any] | None,
    verified: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the run's end: its row, its last event, the wake-up of a waiting parent, the seal on its audit."""
    async with services.database.transaction() as session:
        await settle_lost(session, run_id)
        run = await _locked_after_its_parent(session, run_id)
        await drop_pause(session, run_id)
        now = datetime.now(UTC)
        run.status, run.ended_at, run.wait_reason = outcome.status.value, now, None
        run.error_code, run.error_message = outcome.error_code, outcome.error_message
        used = Used(
            cost=run.cost_usd,
            tokens_in=run.tokens_in,
            tokens_out=run.tokens_out,
            turns=run.turns,
            elapsed_s=(now - run.created_at).total_seconds(),
        )
        ended, event = run_ended(
            outcome, used, [str(path) for path in run.protected_paths or ()], head, verified
        )
        await log.append(session, run, "finished", [ended, event])
        await withdraw_approvals(session, run_id)
        await withdraw_questions(session, run_id)
        if run.parent_run_id is not None:
            await child_ended(session, run.parent_run_id)
        if not await memories_of_run(session, run_id, MemoryKind.HANDOFF):
            await remember_run(session, run, outcome, event)
        await seal_run(session, run_id)
    RUNS_ENDED.labels(run.role, run.status, event.proof.value).inc()
    RUN_SECONDS.labels(run.role, run.status).observe(event.elapsed_s)
    return {}


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


async def _locked_after_its_parent(session: AsyncSession, run_id: str) -> RunRow:
    """Both are locked from the top, as a cancel of the whole tree does it."""
    parent_run_id = (await get_run(session, run_id)).parent_run_id
    if parent_run_id is not None:
        await locked_run(session, parent_run_id)
    return await locked_run(session, run_id)


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


async def close(services: Services, facts: RunFacts) -> dict[str, Any]:
    """Remove the run's containers and volumes; what matters is stored."""
    await services.platform.workspace_close(
        api.WorkspaceClose(run_id=facts.run_id, workspace_id=facts.workspace_id)
    )
    return {}
