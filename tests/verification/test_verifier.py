"""Whole verifications of scripted runs, the checks run as real pytest processes."""

from pathlib import Path

import anyio
import pytest
from tests.verification.bench import CHECK, Court, LocalBench, open_court
from tests.verification.cases import EDITS_TESTS, FALSIFIES, FIXED, HONEST

from hypercode.domain.attestation import Grade, Verdict
from hypercode.domain.check import Check
from hypercode.domain.errors import Conflict
from hypercode.domain.ids import new_id
from hypercode.store.artifacts import get_artifact
from hypercode.store.database import Database
from hypercode.verification.attestation import EXTENSION, check, read_envelope
from hypercode.verification.verifier import Verify

pytestmark = pytest.mark.anyio


def codes(verdict: Verdict, *, blocking: bool | None = None) -> set[str]:
    return {f.code for f in verdict.findings if blocking is None or f.blocking is blocking}


async def test_base_is_pinned_and_cached(local_bench: LocalBench, database: Database, tmp_path: Path) -> None:
    with anyio.fail_after(60):
        court = await open_court(local_bench, database, tmp_path, new_id("project"))
        before = local_bench.calls
        first = await court.freeze(await court.new_run())
        assert local_bench.calls == before + 2
        second = await court.freeze(await court.new_run())
    assert first.base_red == ["tests/test_core.py::TestTotals::test_three", "tests/test_core.py::test_add"]
    assert (first.base_passed, first.base_failed) == (1, 2)
    assert second == first
    assert local_bench.calls == before + 2


async def test_frozen_checks_do_not_change(court: Court) -> None:
    with anyio.fail_after(60):
        run_id = await court.new_run()
        await court.freeze(run_id)
        with pytest.raises(Conflict):
            await court.freeze(run_id, [Check(argv=["true"])])


@pytest.mark.parametrize("case", HONEST)
async def test_honest_ends_are_fixed(court: Court, case: str) -> None:
    with anyio.fail_after(60):
        verified = await court.judge(HONEST[case])
    verdict = verified.verdict
    assert (verdict.grade, verdict.verified) == (Grade.FIXED, True), verdict.reason
    assert codes(verdict, blocking=True) == set()
    assert len(verdict.now_passing) == 2
    assert "does not prove that the code is right" in verified.words
    if "tests/test_more.py" in HONEST[case]:
        assert "test_file_added" in codes(verdict)


@pytest.mark.parametrize("case", EDITS_TESTS)
async def test_edited_tests_are_not_fixed(court: Court, case: str) -> None:
    with anyio.fail_after(60):
        verdict = (await court.judge(EDITS_TESTS[case])).verdict
    assert (verdict.grade, verdict.verified) == (Grade.UNPROVED, False)
    assert "tests/test_core.py::test_add" in verdict.still_failing
    assert any(code.startswith(("test_", "assertion", "conftest")) for code in codes(verdict))


@pytest.mark.parametrize("case", FALSIFIES)
async def test_falsified_reports_are_not_fixed(court: Court, case: str) -> None:
    with anyio.fail_after(60):
        verdict = (await court.judge(FALSIFIES[case])).verdict
    assert (verdict.grade, verdict.verified) == (Grade.UNPROVED, False)
    if case.startswith("patches the runner"):
        # Found by the canaries alone, whatever the text of the diff shows.
        assert "report_falsified" in codes(verdict, blocking=True)


async def test_partly_fixed_names_the_tests(court: Court) -> None:
    half = FIXED.replace("return a + b", "return a + b if a < b else a - b")
    with anyio.fail_after(60):
        verdict = (await court.judge({"calc/core.py": half})).verdict
    assert verdict.grade is Grade.UNPROVED
    assert verdict.now_passing == ["tests/test_core.py::test_add"]
    assert "still failing: tests/test_core.py::TestTotals::test_three" in verdict.reason


async def test_without_checks_nothing_is_proved(court: Court) -> None:
    with anyio.fail_after(60):
        verdict = (await court.judge({"calc/core.py": FIXED}, [])).verdict
    assert verdict.grade is Grade.UNPROVED
    assert "no checks" in verdict.reason


async def test_command_level(court: Court) -> None:
    command = Check(argv=["python", "-c", "import calc; assert calc.add(2, 3) == 5"])
    with anyio.fail_after(60):
        verdict = (await court.judge({"calc/core.py": FIXED}, [command, CHECK])).verdict
    assert verdict.grade is Grade.FIXED
    assert "command_level" in codes(verdict)
    assert any(test_id.startswith("command: python -c") for test_id in verdict.now_passing)


async def test_the_statement_is_signed_and_says_it_all(court: Court) -> None:
    with anyio.fail_after(60):
        verified = await court.judge(HONEST["fixes the code and adds a test file"])
        async with court.database.transaction() as session:
            row = await get_artifact(session, verified.attestation_artifact_id)
    statement = check(read_envelope(await court.artifacts.read(row)), court.key.public_key())
    said = statement["predicate"][EXTENSION]
    assert statement["subject"][0]["digest"]["gitTree"] == said["head"]["tree"]
    assert statement["predicate"]["result"] == "WARNED"
    assert said["grade"] == "fixed"
    assert said["verified"] is True
    assert said["base"]["tree"] != said["head"]["tree"]
    (one,) = said["checks"]
    assert one["argv"] == CHECK.argv
    assert (one["base"][0]["exitCode"], one["head"]["exitCode"]) == (1, 0)
    assert {
        "id": "tests/test_core.py::test_add", "base": "failed", "head": "passed", "original": "passed",
    } in one["tests"]  # fmt: skip
    # The canaries leave no trace in the counts.
    assert one["testsTotal"] == 4
    assert said["testFilesChanged"][0]["path"] == "tests/test_more.py"
    assert said["means"].endswith("nor that it did not falsify its own report.")


async def test_another_tree_than_exported_is_refused(court: Court) -> None:
    with anyio.fail_after(60):
        run_id = await court.new_run()
        await court.freeze(run_id)
        exported = await court.bench.export(court.workspaces[run_id], {"calc/core.py": FIXED})
        asked = Verify(
            run_id=run_id, head_commit=exported.head_commit, head_tree="0" * 40, diff=exported.diff
        )

        async def progress(phase: str, message: str) -> None:
            return None

        with pytest.raises(Conflict):
            await court.verifier().verify(asked, progress)


async def test_nothing_frozen_nothing_judged(court: Court) -> None:
    with anyio.fail_after(60):
        run_id = await court.new_run()
        with pytest.raises(Conflict):
            await court.verify(run_id, {"calc/core.py": FIXED})
