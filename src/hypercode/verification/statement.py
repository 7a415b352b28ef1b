"""The in-toto Statement about a head tree: what was run where, what it reported, and what that shows."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from hypercode.domain.attestation import Finding, Grade, Verdict
from hypercode.domain.check import CheckReport
from hypercode.verification.attestation import EXTENSION, PREDICATE_TYPE, STATEMENT_TYPE
from hypercode.verification.baselines import Frozen
from hypercode.verification.diffs import read_diff
from hypercode.verification.head import Judged
from hypercode.verification.outcomes import is_command, outcomes
from hypercode.verification.paths import is_test, is_test_configuration
from hypercode.verification.words import sentence

TESTS_CAP = 5_000
"""So many tests are listed one by one; the counts are always whole."""


class Subject(BaseModel):
    """What a statement is about, and who makes it."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    task_id: str
    project_id: str
    head_commit: str
    head_tree: str
    diff: str
    required: Grade
    key_id: str
    at: datetime


def build_statement(
    subject: Subject, frozen: Frozen, judged: Sequence[Judged], verdict: Verdict
) -> dict[str, Any]:
    """Build the statement; everything in it was seen by the verifier itself, but for commit, tree and diff."""
    names = _test_names(judged)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"tree of run {subject.run_id}", "digest": {"gitTree": subject.head_tree}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": _result(verdict),
            "configuration": [
                {"name": f"image {frozen.environment.image}", "digest": _digest(_image_id(frozen, judged))},
                {"name": "recipe", "digest": _digest(frozen.environment.recipe_digest)},
            ],
            "passedTests": names["passed"][:TESTS_CAP],
            "warnedTests": [],
            "failedTests": names["failed"][:TESTS_CAP],
            EXTENSION: _extension(subject, frozen, judged, verdict),
        },
    }


def _extension(
    subject: Subject, frozen: Frozen, judged: Sequence[Judged], verdict: Verdict
) -> dict[str, Any]:
    image_id = _image_id(frozen, judged)
    trees = [baseline.tree for baseline in frozen.baselines]
    return {
        "grade": verdict.grade.value,
        "verified": verdict.verified,
        "required": subject.required.value,
        "reason": verdict.reason,
        "means": sentence(subject.head_tree, image_id),
        "base": {"commit": frozen.base_commit, "tree": trees[0] if trees else None},
        "head": {"commit": subject.head_commit, "tree": subject.head_tree},
        "diffSha256": hashlib.sha256(subject.diff.encode()).hexdigest(),
        "environment": {
            "image": frozen.environment.image,
            "imageId": image_id,
            "recipeDigest": frozen.environment.recipe_digest,
            "recipeSource": frozen.environment.recipe.source,
            "changedAtHead": verdict.environment_changed,
            "network": "none",
        },
        "checks": [_check(one) for one in judged],
        "nowPassing": verdict.now_passing[:TESTS_CAP],
        "stillFailing": verdict.still_failing[:TESTS_CAP],
        "newlyFailing": verdict.newly_failing[:TESTS_CAP],
        "findings": [_finding(finding) for finding in verdict.findings],
        "testFilesChanged": _test_files(subject.diff),
        "run": subject.run_id,
        "task": subject.task_id,
        "project": subject.project_id,
        "instance": subject.key_id,
        "keyId": subject.key_id,
        "time": subject.at.isoformat(),
    }


def _result(verdict: Verdict) -> str:
    if verdict.grade is Grade.UNPROVED:
        return "FAILED"
    return "WARNED" if verdict.findings or verdict.environment_changed else "PASSED"


def _check(judged: Judged) -> dict[str, Any]:
    evidence = judged.evidence
    tests = _before_and_after(evidence.base[0], evidence.head, evidence.original)
    return {
        "argv": evidence.head.check.argv,
        "perTest": evidence.head.check.framework is not None,
        "base": [_report(report) for report in evidence.base],
        "head": _report(evidence.head),
        "headWithOriginalTests": _report(evidence.original),
        "tests": tests[:TESTS_CAP],
        "testsTotal": len(tests),
    }


def _report(report: CheckReport) -> dict[str, Any]:
    return {
        "exitCode": report.exit_code,
        "timedOut": report.timed_out,
        "passed": len(report.passed_ids),
        "failed": len(report.red_ids),
        "durationSeconds": report.duration_s,
        "logSha256": report.log_sha256,
    }


def _before_and_after(base: CheckReport, head: CheckReport, original: CheckReport) -> list[dict[str, Any]]:
    columns = [outcomes(report) for report in (base, head, original)]
    ids = sorted({test_id for column in columns for test_id in column if not is_command(test_id)})
    fields = ("base", "head", "original")
    return [
        {"id": test_id} | {field: column.get(test_id) for field, column in zip(fields, columns, strict=True)}
        for test_id in ids
    ]


def _test_names(judged: Sequence[Judged]) -> dict[str, list[str]]:
    heads = [one.evidence.head for one in judged]
    return {
        "passed": sorted({test_id for head in heads for test_id in head.passed_ids}),
        "failed": sorted({test_id for head in heads for test_id in head.red_ids}),
    }


def _test_files(diff: str) -> list[dict[str, Any]]:
    return [
        {"path": change.path, "baseBlob": change.old_blob, "headBlob": change.new_blob}
        for change in read_diff(diff)
        if any(is_test(path) or is_test_configuration(path) for path in change.paths)
    ]


def _finding(finding: Finding) -> dict[str, Any]:
    return finding.model_dump(mode="json")


def _image_id(frozen: Frozen, judged: Sequence[Judged]) -> str:
    return judged[0].plain.image_id if judged else frozen.environment.image_id


def _digest(text: str) -> dict[str, str]:
    algorithm, colon, value = text.partition(":")
    return {algorithm: value} if colon else {"sha256": text}
