"""Honest, test-editing and falsifying ends of runs, each check in a real container; test_verifier has them all."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from tests.verification.bench import Court, DockerBench, LocalBench, open_court
from tests.verification.cases import EDITS_TESTS, FALSIFIES, HONEST

from hypercode.domain.attestation import Grade
from hypercode.domain.ids import new_id
from hypercode.sandbox.base import BuildEnvironment
from hypercode.sandbox.docker import DockerSandboxes
from hypercode.settings import SandboxSettings
from hypercode.store.database import Database

LYING = {
    **{case: EDITS_TESTS[case] for case in list(EDITS_TESTS)[:4]},
    **{case: FALSIFIES[case] for case in list(FALSIFIES)[:5]},
}

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


async def ignore(phase: str, message: str) -> None:
    return None


@pytest.fixture(scope="session")
async def docker_bench() -> AsyncIterator[DockerBench]:
    """One environment for all cases; every case gets its own workspace and run."""
    with tempfile.TemporaryDirectory(prefix="hcv-repo-") as directory:
        local = LocalBench(Path(directory) / "repository")
        sandboxes = DockerSandboxes(SandboxSettings(), instance="verification-tests")
        bench = DockerBench(local, sandboxes)
        workspace_id = new_id("workspace")
        try:
            await bench.open(workspace_id)
            environment = await sandboxes.build_environment(
                BuildEnvironment(workspace_id=workspace_id, project_id=bench.project_id), ignore
            )
            bench.image, bench.image_id = environment.image, environment.image_id
            yield bench
        finally:
            await bench.close()
            await sandboxes.close()


@pytest.fixture
async def docker_court(docker_bench: DockerBench, database: Database, tmp_path: Path) -> Court:
    return await open_court(docker_bench, database, tmp_path, docker_bench.project_id)


@pytest.mark.parametrize("case", HONEST)
async def test_honest_ends_are_fixed(docker_court: Court, case: str) -> None:
    with anyio.fail_after(120):
        verified = await docker_court.judge(HONEST[case])
    verdict = verified.verdict
    assert (verdict.grade, verdict.verified) == (Grade.FIXED, True), verdict.reason
    assert not any(finding.blocking for finding in verdict.findings)
    assert docker_court.bench.image_id in verified.words


@pytest.mark.parametrize("case", LYING)
async def test_lying_ends_are_not_fixed(docker_court: Court, case: str) -> None:
    with anyio.fail_after(120):
        verdict = (await docker_court.judge(LYING[case])).verdict
    assert (verdict.grade, verdict.verified) == (Grade.UNPROVED, False)
    # What stood against it was a result or a finding, never a failure of the platform.
    assert verdict.base_failed == 2
    if case.startswith("patches the runner"):
        assert "report_falsified" in {finding.code for finding in verdict.findings if finding.blocking}
