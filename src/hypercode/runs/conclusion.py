"""Everything after the agent: the diff, the platform's own verification, the last event, the clean-up."""

from typing import Any

from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.event import (
    DiffExported,
    RunStatusChanged,
    VerificationFinished,
    VerificationPhaseChanged,
)
from hypercode.domain.run import RunStatus
from hypercode.events import log
from hypercode.platform_api import types as api
from hypercode.policy.decide import protected_paths
from hypercode.runs.ending import Outcome, count_end, write_end
from hypercode.runs.preparation import RunFacts
from hypercode.runs.services import Services
from hypercode.store.artifacts import get_artifact
from hypercode.store.budgets import drop_pause, settle_lost
from hypercode.store.runs import get_run, locked_after_its_parent

DIFF_NAME = "changes.diff"


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
        await log.append(session, run.id, "diff", [event])
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
    run_id: str,
    outcome: Outcome,
    head: dict[str, Any] | None,
    verified: dict[str, Any] | None,
) -> dict[str, Any]:
    """Write the run's end down, as the worker that worked on it."""
    async with services.database.transaction() as session:
        await settle_lost(session, run_id)
        run = await locked_after_its_parent(session, run_id)
        await drop_pause(session, run_id)
        event = await write_end(session, run, outcome, head, verified)
    count_end(run, event)
    return {}


async def close(services: Services, facts: RunFacts) -> dict[str, Any]:
    """Remove the run's containers and volumes; what matters is stored."""
    await services.platform.workspace_close(
        api.WorkspaceClose(run_id=facts.run_id, workspace_id=facts.workspace_id)
    )
    return {}
