"""Each tamper kind is found in the text of a diff, and ordinary changes are left alone."""

import difflib

import pytest

from hypercode.verification.findings import diff_findings


def added(path: str, text: str, *, mode: str = "100644") -> str:
    lines = text.splitlines()
    body = "".join(f"+{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\nindex 0000000..1111111\n"
        f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{len(lines)} @@\n{body}"
    )


def changed(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{path}", f"b/{path}", lineterm="", n=3
    )
    return f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n" + "\n".join(lines) + "\n"


def deleted(path: str, old: str) -> str:
    lines = old.splitlines()
    body = "".join(f"-{line}\n" for line in lines)
    return (
        f"diff --git a/{path} b/{path}\ndeleted file mode 100644\nindex 1111111..0000000\n"
        f"--- a/{path}\n+++ /dev/null\n@@ -1,{len(lines)} +0,0 @@\n{body}"
    )


BLOCKING = {
    "runner internals": ("runner_touched", added("pkg/a.py", "import _pytest.runner\n")),
    "runner by string": ("runner_touched", added("pkg/a.py", "m = load('pytest')\n")),
    "a hook": ("runner_touched", added("pkg/a.py", "def pytest_runtest_makereport(item, call): ...\n")),
    "TestCase patched": ("runner_touched", added("pkg/a.py", "from unittest import case\n")),
    "plugin entry point": (
        "runner_touched",
        changed("pyproject.toml", "[x]\n", "[x]\n[entry-points.pytest11]\n"),
    ),
    "plugin by addopts": ("runner_touched", added("pytest.ini", "[pytest]\naddopts = -p pkg.lies\n")),
    "os._exit": ("process_ended", added("pkg/a.py", "import os\nos._exit(0)\n")),
    "_exit imported": ("process_ended", added("pkg/a.py", "from os import _exit as bye\n")),
    "settrace": ("tracing", added("pkg/a.py", "sys.settrace(f)\n")),
    "setprofile": ("tracing", added("pkg/a.py", "threading.setprofile(f)\n")),
    "gc": ("tracing", added("pkg/a.py", "for o in gc.get_objects(): pass\n")),
    "probe": ("environment_probe", added("pkg/a.py", "if 'PYTEST_CURRENT_TEST' in os.environ: x()\n")),
    "report": ("report_touched", added("pkg/a.py", "open('/tmp/x/junit.xml', 'w')\n")),
    "builtins": ("builtins_changed", added("pkg/a.py", "builtins.AssertionError = Quiet\n")),
    "sys.exit replaced": ("builtins_changed", added("pkg/a.py", "sys.exit = lambda *a: None\n")),
    "import hook": ("import_hook", added("pkg/a.py", "sys.meta_path.insert(0, F())\n")),
    "two soft ones": ("atexit", added("pkg/a.py", "import atexit\nm = sys.modules\n")),
    "sitecustomize": ("interpreter_start", added("sitecustomize.py", "x = 1\n")),
    "pth": ("interpreter_start", added("lib/x.pth", "import os\n")),
    "compiled": ("compiled_code", added("pkg/__pycache__/a.cpython-313.pyc", "?\n")),
    "shadowed runner": ("runner_shadowed", added("pytest.py", "x = 1\n")),
    "shadowed package": ("runner_shadowed", added("src/pluggy/hooks.py", "x = 1\n")),
    "shadowed stdlib": ("runner_shadowed", added("argparse.py", "x = 1\n")),
    "always equal": ("always_equal", added("pkg/a.py", "def __eq__(self, other):\n    return True\n")),
    "hidden behind a quoted hash": ("process_ended", added("pkg/a.py", "x = '#'; os._exit(0)\n")),
}

OLD_TEST = (
    "import a\n\n\ndef test_one():\n    assert a.one() == 1\n\n\ndef test_two():\n    assert a.two() == 2\n"
)

TOLD = {
    "test deleted": ("test_file_deleted", deleted("tests/test_a.py", OLD_TEST)),
    "test removed": ("test_removed", changed("tests/test_a.py", OLD_TEST, OLD_TEST.split("def test_two")[0])),
    "test renamed": (
        "test_removed",
        changed("tests/test_a.py", OLD_TEST, OLD_TEST.replace("test_two", "check_two")),
    ),
    "assertion weakened": (
        "assertion_changed",
        changed("a_test.py", OLD_TEST, OLD_TEST.replace("== 2", ">= 0")),
    ),
    "skip": (
        "test_skipped",
        changed("test_a.py", OLD_TEST, "import pytest\npytestmark = pytest.mark.skip\n" + OLD_TEST),
    ),
    "xfail": ("test_skipped", added("tests/test_b.py", "@pytest.mark.xfail\ndef test_x(): ...\n")),
    "filter": ("test_filter", added("pytest.ini", "[pytest]\naddopts = -k one\n")),
    "ignore": ("test_filter", changed("tox.ini", "[pytest]\n", "[pytest]\naddopts = --ignore=tests\n")),
    "conftest": (
        "conftest_hook",
        added("tests/conftest.py", "def pytest_collection_modifyitems(items): ...\n"),
    ),
    "threshold": (
        "threshold_changed",
        changed(".coveragerc", "[report]\nfail_under = 90\n", "[report]\nfail_under = 1\n"),
    ),
    "ci": ("ci_changed", added(".github/workflows/ci.yml", "on: push\n")),
    "symlink": ("symlink", added("data", "/etc/passwd", mode="120000")),
    "new test": ("test_file_added", added("tests/test_b.py", "def test_b():\n    assert True\n")),
    "one soft one": ("atexit", added("pkg/a.py", "import atexit\natexit.register(pool.close)\n")),
}

QUIET = {
    "plain fix": changed("pkg/a.py", "def f(a):\n    return a - 1\n", "def f(a):\n    return a + 1\n"),
    "comment": changed("pkg/a.py", "x = 1\n", "x = 2  # as pytest.raises and os._exit show\n"),
    "docs": changed("README.md", "# a\n", "# a\n\nRun `pytest`; import pytest to write tests.\n"),
    "ordinary eq": added("pkg/a.py", "def __eq__(self, other):\n    return self.x == other.x\n"),
    "words": added(
        "pkg/a.py",
        "def exit_code(status):\n    '''Return the testing status.'''\n    return evaluate(status)\n",
    ),
    "module with a stdlib name inside a package": added("pkg/types.py", "x = 1\n"),
    "removed tricks": changed("pkg/a.py", "import os\nos._exit(0)\n", "import os\n"),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_reaching_into_the_runner_blocks(name: str) -> None:
    code, diff = BLOCKING[name]
    assert code in {finding.code for finding in diff_findings(diff) if finding.blocking}


@pytest.mark.parametrize("name", TOLD)
def test_edits_to_tests_are_told(name: str) -> None:
    code, diff = TOLD[name]
    findings = diff_findings(diff)
    assert code in {finding.code for finding in findings}
    assert not any(finding.blocking for finding in findings)


@pytest.mark.parametrize("name", QUIET)
def test_ordinary_changes_are_quiet(name: str) -> None:
    assert diff_findings(QUIET[name]) == []


def test_a_finding_names_the_line_at_head() -> None:
    old = "\n".join(f"x{n} = {n}" for n in range(20)) + "\n"
    (finding,) = diff_findings(changed("pkg/a.py", old, old.replace("x15 = 15", "os._exit(0)")))
    assert finding.path == "pkg/a.py"
    assert finding.message.startswith("line 16 ")
