"""Finds the tests of a project by its files; nothing of the project is run. One piece for agents and platform."""

import base64
import json
import posixpath
import re
from dataclasses import dataclass
from typing import Any, cast

from hypercode.domain.check import Check
from hypercode.domain.errors import HyperCodeError
from hypercode.mcp_protocol.junit import PYTEST
from hypercode.platform_api.types import ChecksDetected
from hypercode.sandbox.base import ExecRequest, Sandboxes
from hypercode.sandbox.files import SearchRequest
from hypercode.tools.frameworks import FRAMEWORKS, Framework

_TEST_FILE = re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$")
_SKIPPED = re.compile(r"(^|/)(node_modules|target|vendor|\.venv|venv|site-packages|build|dist)/")
_PROBE = ["python", "-c", "import pytest; print(pytest.__version__)"]
_MANIFESTS = {
    "go.mod": "go",
    "Cargo.toml": "cargo",
    "pom.xml": "maven",
    "build.gradle": "gradle",
    "build.gradle.kts": "gradle",
}
_NODE = ("vitest", "jest", "mocha")
MAX_MANIFESTS = 20
MAX_FOLDERS = 100
MAX_MANIFEST = 1_000_000


@dataclass(frozen=True)
class Found:
    """A framework of a project: in which directory, and which file says so."""

    framework: Framework
    directory: str
    evidence: str


async def find_frameworks(sandboxes: Sandboxes, sandbox_id: str) -> list[Found]:
    """What the files say; the nearest to the workspace's root first, then by preference."""
    paths = await _files(sandboxes, sandbox_id)
    found = await _python(sandboxes, sandbox_id, paths)
    packages = [path for path in paths if posixpath.basename(path) == "package.json"]
    for path in sorted(packages, key=_depth)[:MAX_MANIFESTS]:
        found += await _node(sandboxes, sandbox_id, path)
    for path in paths:
        if (name := _MANIFESTS.get(posixpath.basename(path))) is not None:
            found.append(Found(FRAMEWORKS[name], posixpath.dirname(path) or ".", path))
    order = list(FRAMEWORKS)
    outer = [each for each in found if not _inside(each, found)]
    return sorted(outer, key=lambda each: (_depth(each.directory), order.index(each.framework.name)))


async def _files(sandboxes: Sandboxes, sandbox_id: str) -> list[str]:
    """The files of the project, folder by folder: one full of dependencies does not hide the others."""
    top = (await sandboxes.tree(sandbox_id, ".", 1, 2000)).entries
    folders = [entry.path for entry in top if entry.kind == "dir" and not _SKIPPED.search(f"{entry.path}/")]
    entries = list(top)
    for folder in folders[:MAX_FOLDERS]:
        entries += (await sandboxes.tree(sandbox_id, folder, 5, 5000)).entries
    return [entry.path for entry in entries if entry.kind == "file" and not _SKIPPED.search(entry.path)]


def _depth(path: str) -> int:
    return 0 if path == "." else path.count("/") + 1


def _inside(one: Found, found: list[Found]) -> bool:
    """A part of a workspace or a multi-module build runs with the whole of it."""
    return any(
        other.framework.name == one.framework.name
        and other.directory != one.directory
        and (other.directory == "." or one.directory.startswith(f"{other.directory}/"))
        and one.framework.name in ("cargo", "maven", "gradle")
        for other in found
    )


async def _python(sandboxes: Sandboxes, sandbox_id: str, paths: list[str]) -> list[Found]:
    tests = [path for path in paths if _TEST_FILE.search(path)]
    if not tests:
        return []
    found = [Found(FRAMEWORKS["pytest"], ".", f"{len(tests)} files like {tests[0]}")]
    globs = ["**/test_*.py", "**/*_test.py"]
    cases = await sandboxes.search(
        SearchRequest(sandbox_id=sandbox_id, pattern="unittest.TestCase", globs=globs, limit=1)
    )
    if cases.matches:
        found.append(Found(FRAMEWORKS["unittest"], ".", cases.matches[0].path))
    return found


async def _node(sandboxes: Sandboxes, sandbox_id: str, path: str) -> list[Found]:
    try:
        read = await sandboxes.read(sandbox_id, path, 0, MAX_MANIFEST)
        manifest: Any = json.loads(base64.b64decode(read.data_b64))
    except (HyperCodeError, ValueError, RecursionError):
        return []
    if not isinstance(manifest, dict):
        return []
    said = cast(dict[str, Any], manifest)
    named = {name for key in ("dependencies", "devDependencies") for name in _members(said.get(key))}
    script = str(_members(said.get("scripts")).get("test", ""))
    directory = posixpath.dirname(path) or "."
    return [
        Found(FRAMEWORKS[name], directory, path)
        for name in _NODE
        if name in named or re.search(rf"\b{name}\b", script[:2000])
    ]


def _members(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


async def detect_checks(sandboxes: Sandboxes, sandbox_id: str) -> ChecksDetected:
    """The checks that the platform can hold a run to: today pytest, which also runs unittest's test cases."""
    found = await find_frameworks(sandboxes, sandbox_id)
    python = [each for each in found if each.framework.name == "pytest"]
    if not python:
        return ChecksDetected(checks=[], how="no test files (test_*.py, *_test.py) were found")
    how = python[0].evidence
    probe = await sandboxes.exec(sandbox_id, ExecRequest(argv=_PROBE, timeout_s=30))
    if probe.exit_code != 0:
        return ChecksDetected(checks=[], how=f"{how}, but the environment has no pytest")
    return ChecksDetected(
        checks=[Check(argv=list(PYTEST), framework="pytest")],
        how=f"pytest {probe.stdout.strip()[:20]}, {how}",
    )
