"""test_discover, test_run, lint_run and type_check on small projects in a real sandbox."""

import base64
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import anyio
import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

UNITTESTS = """\
import pathlib
import unittest

class Calc(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(1 + 2, 3)

    def test_breaks(self):
        raise KeyError("broken")

    def test_flaky(self):
        seen = pathlib.Path("seen")
        first = not seen.exists()
        seen.touch()
        self.assertFalse(first)
"""
JUNIT = (
    "<testsuite><testcase classname='org.example.CalcTest' name='adds'/>"
    "<testcase classname='org.example.CalcTest' name='breaks'><error message='broken'/>"
    "<system-out>printed</system-out></testcase></testsuite>"
)


async def put(hands: Any, files: dict[str, str]) -> None:
    for path, content in files.items():
        assert (await hands.call("fs_write", path=path, content=content, create_dirs=True)).ok


def _pure(item: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if item.name.endswith((".so", ".pyc")) else item


async def put_packages(hands: Any, folder: str, *names: str) -> None:
    """Bring pure Python packages of the test environment into the sandbox, which has no network."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in names:
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            origin = Path(spec.origin)
            whole = origin.parent if origin.name == "__init__.py" else origin
            for part in (whole, *whole.parent.glob(f"{name}-*.dist-info")):
                archive.add(part, part.name, filter=_pure)
    data = base64.b64encode(packed.getvalue()).decode()
    script = f"mkdir -p {folder} && base64 -d | tar -xz -C {folder}"
    done = await hands.call("sh_exec", script=script, stdin=data)
    assert done.data["exit_code"] == 0, done.text


async def test_frameworks_are_found_by_files_alone(hands: Any) -> None:
    await put(
        hands,
        {
            "found/web/package.json": json.dumps({"devDependencies": {"vitest": "3", "left-pad": "1"}}),
            "found/old/package.json": json.dumps({"scripts": {"test": "mocha --exit; touch /workspace/ran"}}),
            "found/odd/package.json": "[" * 50_000,
            "found/worse/package.json": '{"scripts": [], "dependencies": "jest"}',
            "found/web/node_modules/x/package.json": json.dumps({"devDependencies": {"jest": "1"}}),
            "found/go/go.mod": "module example.org/x\n",
            "found/rust/Cargo.toml": "[workspace]\n",
            "found/rust/part/Cargo.toml": "[package]\n",
            "found/java/pom.xml": "<project/>",
            "found/unit/test_cases.py": "import unittest\nclass A(unittest.TestCase): pass\n",
            "setup.py": "open('ran', 'w')\n",
        },
    )
    found = await hands.call("test_discover")
    assert {(each["framework"], each["cwd"]) for each in found.data["frameworks"]} == {
        ("pytest", "."),
        ("unittest", "."),
        ("vitest", "found/web"),
        ("mocha", "found/old"),
        ("go", "found/go"),
        ("cargo", "found/rust"),
        ("maven", "found/java"),
    }
    assert found.data["frameworks"][0]["framework"] == "pytest"
    assert await hands.shell("ls ran 2>/dev/null | wc -l; rm -rf found setup.py") == "0\n"


async def test_unittest_with_coverage_and_a_flaky_test(hands: Any) -> None:
    await put(hands, {"unit/test_calc.py": UNITTESTS})
    ran = await hands.call("test_run", framework="unittest", cwd="unit", coverage=True, rerun_failed=True)
    assert ran.ok, ran.text
    assert ran.data["summary"] | {"duration_s": 0} == {
        "passed": 1,
        "failed": 1,
        "errors": 1,
        "skipped": 0,
        "duration_s": 0,
    }
    assert ran.data["flaky"] == ["test_calc.Calc.test_flaky"]
    broken = next(each for each in ran.data["failures"] if each["outcome"] == "error")
    assert (broken["id"], broken["file"], broken["line"]) == (
        "test_calc.Calc.test_breaks",
        "unit/test_calc.py",
        9,
    )
    assert ran.data["coverage"] == {
        "lines_pct": None,
        "reason": "coverage.py is not in the project's environment",
    }
    await put_packages(hands, "unit", "coverage")
    again = await hands.call(
        "test_run", framework="unittest", cwd="unit", coverage=True, targets=["test_calc.Calc.test_adds"]
    )
    assert (again.data["exit_code"], again.data["summary"]["passed"]) == (0, 1), again.text
    assert 0 < again.data["coverage"]["lines_pct"] < 100


async def test_any_command_that_leaves_junit_xml(hands: Any) -> None:
    await put(
        hands,
        {
            "java/target/surefire-reports/TEST-stale.xml": "<testsuite><testcase name='old'/></testsuite>",
            "report.xml": JUNIT,
        },
    )
    script = "mkdir -p java/target/surefire-reports; cp report.xml java/target/surefire-reports/TEST-new.xml; exit 1"
    ran = await hands.call("test_run", command=["sh", "-c", script])
    assert (ran.data["framework"], ran.data["reported"], ran.data["exit_code"]) == (None, True, 1)
    assert (ran.data["summary"]["passed"], ran.data["summary"]["errors"]) == (1, 1)
    (failure,) = ran.data["failures"]
    assert failure["id"] == "org.example.CalcTest::breaks"
    assert failure["stdout_tail"] == "printed"
    none = await hands.call("test_run", command=["true"])
    assert none.data["reported"] is False
    with anyio.fail_after(60):
        # A pipe, a link and a bomb where a report should be.
        for script in (
            "rm -f /tmp/hypercode-report/junit.xml; mkfifo -m 600 /tmp/hypercode-report/junit.xml",
            "ln -sf /etc/passwd /tmp/hypercode-report/junit.xml",
            "printf '<!DOCTYPE a [<!ENTITY b \"c\">]><a/>' > /tmp/hypercode-report/junit.xml",
            "ln -s /etc/passwd TEST-link.xml",
        ):
            odd = await hands.call("test_run", command=["sh", "-c", script])
            assert (odd.ok, odd.data["reported"]) == (True, False), odd.text
    await hands.shell("rm -rf java report.xml TEST-link.xml")


async def test_long_output_is_linked_and_what_can_not_run_says_so(hands: Any) -> None:
    loud = await hands.call("test_run", command=["sh", "-c", "seq 1 3000; exit 1"])
    assert loud.data["truncated"]
    whole = await hands.call("resource_read", uri=loud.data["resource_uri"])
    assert whole.data["text"].endswith("2999\n3000\n")
    missing = await hands.call("test_run", framework="go")
    assert (missing.data["reported"], missing.data["exit_code"]) == (False, 127)
    for wrong in (
        {"framework": "pytest", "command": ["true"]},
        {"framework": "nose"},
        {"targets": ["--co"]},
        {"cwd": ".."},
    ):
        assert not (await hands.call("test_run", **wrong)).ok


async def test_linters_and_checkers_that_are_there_and_not(hands: Any) -> None:
    none = await hands.call("type_check")
    assert (none.code, "mypy, pyright, tsc" in none.text) == ("NOT_FOUND", True)
    assert (await hands.call("lint_run", linter="ruff")).code == "NOT_FOUND"
    await put(hands, {"lint/bad.py": "import os\nprint(undefined_name)\n", "lint/good.py": "X = 1\n"})
    await put_packages(hands, "lint", "flake8", "pyflakes", "pycodestyle", "mccabe")
    found = await hands.call("lint_run", cwd="lint", targets=["bad.py"])
    assert found.ok, found.text
    assert (found.data["tool"], found.data["errors"], found.data["readable"]) == ("flake8", 2, True)
    assert [(each["file"], each["line"], each["code"]) for each in found.data["diagnostics"]] == [
        ("bad.py", 1, "F401"),
        ("bad.py", 2, "F821"),
    ]
    clean = await hands.call("lint_run", cwd="lint", linter="flake8", targets=["good.py"])
    assert (clean.data["exit_code"], clean.data["diagnostics"], clean.data["readable"]) == (0, [], True)
    broke = await hands.call("lint_run", cwd="lint", targets=["none.py"])
    assert broke.ok
    assert (await hands.call("lint_run", targets=["--version"])).code == "INVALID_ARGUMENT"


async def test_a_report_is_a_resource(hands: Any) -> None:
    ran = await hands.call("test_run", targets=["tests/test_calc.py"])
    assert ran.data["framework"] == "pytest"
    read = await hands.call("resource_read", uri=ran.data["report_uri"])
    assert (read.data["mime_type"], read.data["truncated"]) == ("application/xml", False)
    assert 'name="test_add"' in read.data["text"]
    part = await hands.call("resource_read", uri=f"{ran.data['report_uri']}?offset=10", max_bytes=16)
    assert part.data["text"] == read.data["text"][10:26]
    assert (part.data["next_offset"], part.data["size"]) == (26, len(read.data["text"].encode()))
    past = await hands.call("resource_read", uri=f"{ran.data['report_uri']}?offset=99999999")
    assert past.data["text"] == ""
    place = "/tmp/hypercode-report"
    await hands.shell(
        f"ln -s /etc/passwd {place}/link.txt; mkfifo -m 600 {place}/pipe.txt; mkdir {place}/folder"
    )
    with anyio.fail_after(30):
        for name in ("link.txt", "pipe.txt", "folder", "none.xml", "../x", "..", "a%2f", "junit.xml;id"):
            uri = f"hc://run/{hands.run.id}/report/{name}"
            assert (await hands.call("resource_read", uri=uri)).code == "NOT_FOUND", name
