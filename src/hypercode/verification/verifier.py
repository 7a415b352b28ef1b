"""The verifier: freezes checks at base, judges head, signs what it saw. It serves no agent.

Of what a worker sends it takes commit, tree and diff of the export, nothing else; the run, the task and the
frozen checks come from the database, the results from containers that it had started itself.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict

from hypercode.domain.artifact import ArtifactKind
from hypercode.domain.attestation import Finding, Grade, Verdict
from hypercode.domain.check import Check, CheckReport
from hypercode.domain.environment import Environment
from hypercode.domain.errors import Conflict, InvalidArgument
from hypercode.store.artifacts import ArtifactStore
from hypercode.store.base_results import find_base_result, keep_base_result, result_key
from hypercode.store.database import Database
from hypercode.store.runs import get_run, get_task_of, update_run
from hypercode.store.tables import RunRow, TaskRow
from hypercode.telemetry.metrics import VERDICTS, VERIFICATION_SECONDS, begin_at_zero, timed
from hypercode.verification.attestation import MEDIA_TYPE, key_id, sign
from hypercode.verification.baselines import Baseline, Frozen, run_baseline
from hypercode.verification.checks import CheckRunner, Place
from hypercode.verification.diffs import read_diff
from hypercode.verification.findings import diff_findings
from hypercode.verification.grades import grade
from hypercode.verification.head import Head, Judged, judge_checks
from hypercode.verification.outcomes import counts
from hypercode.verification.paths import environment_changed, frozen_paths
from hypercode.verification.statement import Subject, build_statement
from hypercode.verification.words import words

ARTIFACT_NAME = "attestation.json"

Progress = Callable[[str, str], Awaitable[None]]
"""Called with (phase, message) while a verification works."""


class Freeze(BaseModel):
    """Freeze these checks for a run, in this environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    environment: Environment
    checks: list[Check]


class FrozenChecks(BaseModel):
    """What the frozen checks reported at base; ``base_red`` are red each time they ran."""

    model_config = ConfigDict(frozen=True)

    base_passed: int
    base_failed: int
    base_red: list[str]
    reports: list[CheckReport]


class Verify(BaseModel):
    """Judge an exported commit of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    head_commit: str
    head_tree: str
    diff: str


class Verified(BaseModel):
    """The verdict, the artifact that holds its signed statement, and the words for people."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    attestation_artifact_id: str
    words: str


class Verifier:
    """Holds the signing key, the database and a way to run checks in fresh containers."""

    def __init__(
        self, database: Database, artifacts: ArtifactStore, runner: CheckRunner, key: Ed25519PrivateKey
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._runner = runner
        self._key = key
        begin_at_zero(VERDICTS, [grade.value for grade in Grade])
        begin_at_zero(VERIFICATION_SECONDS, ["freeze", "verify"], ["done", "failed"])

    async def freeze(self, request: Freeze) -> FrozenChecks:
        """Run the checks at base and pin what they report. Freezing the same again returns what is pinned.

        Raises:
            Conflict: other checks, or another environment, are frozen already.
            InvalidArgument: the run has no base commit yet.
        """
        with timed(VERIFICATION_SECONDS, "freeze"):
            return await self._freeze(request)

    async def _freeze(self, request: Freeze) -> FrozenChecks:
        run, _ = await self._read(request.run_id)
        if run.frozen is not None:
            frozen = Frozen.model_validate(run.frozen)
            if frozen.checks != request.checks or frozen.environment.image_id != request.environment.image_id:
                raise Conflict(f"The checks of run {run.id} are frozen already, and they are others.")
            return _frozen_checks(frozen)
        frozen = Frozen(
            environment=request.environment,
            base_commit=_base_commit(run),
            checks=request.checks,
            baselines=[await self._baseline(run, request.environment, check) for check in request.checks],
        )
        async with self._database.transaction() as session:
            await update_run(session, run.id, frozen=frozen.model_dump(mode="json"))
        return _frozen_checks(frozen)

    async def verify(self, request: Verify, progress: Progress) -> Verified:
        """Run the frozen checks at head, grade, sign, and store the statement.

        Raises:
            Conflict: nothing is frozen for the run, or the checks ran on another tree than was exported.
        """
        with timed(VERIFICATION_SECONDS, "verify"):
            verified = await self._verify(request, progress)
        VERDICTS.labels(verified.verdict.grade.value).inc()
        return verified

    async def _verify(self, request: Verify, progress: Progress) -> Verified:
        run, task = await self._read(request.run_id)
        if run.frozen is None:
            raise Conflict(
                f"No checks are frozen for run {run.id}.", hint="Freeze them before the agent starts."
            )
        frozen = Frozen.model_validate(run.frozen)
        changes = read_diff(request.diff)
        head = Head(
            commit=request.head_commit, base_commit=frozen.base_commit, frozen_paths=frozen_paths(changes)
        )
        await progress("checks", _checks_message(frozen, head))
        judged = await judge_checks(self._runner, _place(run, frozen.environment), frozen, head)
        _same_tree(request.head_tree, judged)
        await progress("grading", "comparing the reports at base and at head")
        verdict = grade(
            [one.evidence for one in judged],
            _findings(request.diff, frozen, judged),
            required=Grade(task.require),
            environment_changed=environment_changed(changes),
        )
        await progress("signing", f"signing the statement: {verdict.grade.value}")
        return await self._attest(request, run, frozen, judged, verdict)

    async def _read(self, run_id: str) -> tuple[RunRow, TaskRow]:
        async with self._database.transaction() as session:
            run = await get_run(session, run_id)
            return run, await get_task_of(session, run)

    async def _baseline(self, run: RunRow, environment: Environment, check: Check) -> Baseline:
        commit = _base_commit(run)
        argv = [*check.argv, f"framework={check.framework}", f"timeout={check.timeout_s:g}"]
        key = result_key(run.project_id, commit, environment.image_id, argv, environment.recipe.env)
        async with self._database.transaction() as session:
            kept = await find_base_result(session, key)
        if kept is not None:
            return Baseline.model_validate(kept)
        baseline = await run_baseline(self._runner, _place(run, environment), check, commit)
        if all(report.exit_code is not None and not report.timed_out for report in baseline.reports):
            async with self._database.transaction() as session:
                await keep_base_result(session, run, key, baseline.model_dump(mode="json"))
        return baseline

    async def _attest(
        self, request: Verify, run: RunRow, frozen: Frozen, judged: Sequence[Judged], verdict: Verdict
    ) -> Verified:
        subject = Subject(
            run_id=run.id,
            task_id=run.task_id,
            project_id=run.project_id,
            head_commit=request.head_commit,
            head_tree=request.head_tree,
            diff=request.diff,
            required=await self._required(run),
            key_id=key_id(self._key.public_key()),
            at=datetime.now(UTC),
        )
        envelope = sign(build_statement(subject, frozen, judged, verdict), self._key)
        async with self._database.transaction() as session:
            row = await self._artifacts.put(
                session, run, ArtifactKind.ATTESTATION, ARTIFACT_NAME, envelope.to_bytes(), MEDIA_TYPE
            )
        image_id = judged[0].plain.image_id if judged else frozen.environment.image_id
        text = words(verdict, head_tree=request.head_tree, image_id=image_id)
        return Verified(verdict=verdict, attestation_artifact_id=row.id, words=text)

    async def _required(self, run: RunRow) -> Grade:
        _, task = await self._read(run.id)
        return Grade(task.require)


def _base_commit(run: RunRow) -> str:
    if run.base_commit is None:
        raise InvalidArgument(f"Run {run.id} has no base commit yet.", hint="Open its workspace first.")
    return run.base_commit


def _place(run: RunRow, environment: Environment) -> Place:
    return Place(
        run_id=run.id, workspace_id=run.workspace_id, image=environment.image_id, env=environment.recipe.env
    )


def _frozen_checks(frozen: Frozen) -> FrozenChecks:
    firsts = [baseline.reports[0] for baseline in frozen.baselines]
    totals = [counts(report) for report in firsts]
    return FrozenChecks(
        base_passed=sum(passed for passed, _ in totals),
        base_failed=sum(failed for _, failed in totals),
        base_red=sorted(set[str]().union(*(baseline.red for baseline in frozen.baselines))),
        reports=firsts,
    )


def _checks_message(frozen: Frozen, head: Head) -> str:
    if not frozen.checks:
        return "there are no checks to run"
    again = " and again with the original tests" if head.frozen_paths else ""
    return f"running {len(frozen.checks)} check(s) in fresh containers, at head{again}"


def _same_tree(head_tree: str, judged: Sequence[Judged]) -> None:
    for one in judged:
        if one.plain.tree != head_tree:
            raise Conflict(f"The checks ran on tree {one.plain.tree}, but {head_tree} was exported.")


def _findings(diff: str, frozen: Frozen, judged: Sequence[Judged]) -> list[Finding]:
    findings = [*diff_findings(diff), *(finding for one in judged for finding in one.findings)]
    for baseline, one in zip(frozen.baselines, judged, strict=True):
        if one.plain.image_id != baseline.image_id:
            message = f"base ran in image {baseline.image_id}, head in {one.plain.image_id}"
            findings.append(Finding(code="image_changed", message=message, blocking=True))
    return findings
