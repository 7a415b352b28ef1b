"""Finds the checks of a project: today pytest, which also runs unittest's test cases."""

import re

from hypercode.domain.check import Check
from hypercode.mcp_protocol.junit import PYTEST
from hypercode.platform_api.types import ChecksDetected
from hypercode.sandbox.base import ExecRequest, Sandboxes

_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_PROBE = ["python", "-c", "import pytest; print(pytest.__version__)"]


async def detect_checks(sandboxes: Sandboxes, sandbox_id: str) -> ChecksDetected:
    """Look for test files, and for a pytest that can run them."""
    tree = await sandboxes.tree(sandbox_id, ".", 6, 2000)
    tests = [entry.path for entry in tree.entries if entry.kind == "file" and _TEST_FILE.search(entry.path)]
    if not tests:
        return ChecksDetected(checks=[], how="no test files (test_*.py, *_test.py) were found")
    probe = await sandboxes.exec(sandbox_id, ExecRequest(argv=_PROBE, timeout_s=30))
    if probe.exit_code != 0:
        return ChecksDetected(checks=[], how=f"{len(tests)} test files, but the environment has no pytest")
    return ChecksDetected(
        checks=[Check(argv=list(PYTEST), framework="pytest")],
        how=f"pytest {probe.stdout.strip()[:20]}, {len(tests)} test files",
    )
