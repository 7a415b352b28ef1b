"""Installs the well-known testing packages that the project's tests import and no file of it names.

Only names of this list, whatever the tests import: a name from a repository is no reason to install code.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

ROOT = "/workspace"
MAX_FILES, MAX_BYTES = 2000, 1 << 20
KNOWN = {
    "attr": "attrs", "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "dirty_equals": "dirty-equals",
    "faker": "faker", "flask": "flask", "freezegun": "freezegun", "hypothesis": "hypothesis", "httpx": "httpx",
    "jsonschema": "jsonschema", "mock": "mock", "parameterized": "parameterized", "pretend": "pretend",
    "pytest_asyncio": "pytest-asyncio", "pytest_mock": "pytest-mock", "pytest_subtests": "pytest-subtests",
    "pytz": "pytz", "requests": "requests", "requests_mock": "requests-mock", "responses": "responses",
    "simplejson": "simplejson", "six": "six", "sortedcontainers": "sortedcontainers", "testfixtures": "testfixtures",
    "time_machine": "time-machine", "tomli_w": "tomli-w", "trio": "trio", "typeguard": "typeguard",
    "typing_extensions": "typing-extensions", "tzdata": "tzdata", "yaml": "pyyaml", "ddt": "ddt",
    "trustme": "trustme", "pyhamcrest": "pyhamcrest", "hamcrest": "pyhamcrest", "anyio": "anyio",
    "numpy": "numpy", "jinja2": "jinja2", "markupsafe": "markupsafe", "setuptools": "setuptools",
    "testtools": "testtools", "fixtures": "fixtures", "purl": "purl",
}  # fmt: skip
FIXTURES = {"mocker": ("pytest_mock", "pytest-mock"), "benchmark": ("pytest_benchmark", "pytest-benchmark")}
IMPORT = re.compile(r"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
TAKES = re.compile(r"^[ \t]*(?:async )?def test\w*\(([^)]*)\)", re.MULTILINE)
TEST_FILE = re.compile(r"(test_[^/]*|[^/]*_tests?|conftest)\.py$")


def test_texts(root: str) -> list[str]:
    """Return the text of the test files and of what lies beside them."""
    texts: list[str] = []
    for folder, names, files in os.walk(root):
        names[:] = [
            name for name in names if not name.startswith(".") and name not in ("node_modules", "build")
        ]
        inside = os.path.basename(folder) in ("test", "tests", "testing")
        for file in files:
            path = os.path.join(folder, file)
            wanted = TEST_FILE.search(file) or (inside and file.endswith(".py"))
            if (
                wanted
                and not os.path.islink(path)
                and os.path.getsize(path) < MAX_BYTES
                and len(texts) < MAX_FILES
            ):
                with open(path, encoding="utf-8", errors="replace") as stream:
                    texts.append(stream.read())
    return texts


def missing(texts: list[str]) -> list[str]:
    """Return the packages to install, sorted."""
    imported = {name for text in texts for name in IMPORT.findall(text)}
    wanted = {KNOWN[name] for name in imported if name in KNOWN and not _there(name)}
    taken = {word for text in texts for words in TAKES.findall(text) for word in re.findall(r"\w+", words)}
    wanted |= {
        package for name, (module, package) in FIXTURES.items() if name in taken and not _there(module)
    }
    return sorted(wanted)


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def main() -> int:
    """Install them; 0 when each could be."""
    pip = [sys.executable, "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    os.chdir(ROOT)
    ended = [subprocess.run([*pip, package], check=False).returncode for package in missing(test_texts(ROOT))]
    return 1 if any(ended) else 0


if __name__ == "__main__":
    sys.exit(main())
