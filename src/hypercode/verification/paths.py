"""Which paths are tests, test configuration, dependency manifests or CI, by their conventional names."""

import fnmatch
from collections.abc import Iterable
from pathlib import PurePosixPath

from hypercode.verification.diffs import FileChange

_TEST_DIRECTORIES = {"tests", "test", "__tests__", "__snapshots__"}
_TEST_NAMES = (
    "test_*.py",
    "*_test.py",
    "tests.py",
    "conftest.py",
    "*.test.[jt]s*",
    "*.spec.[jt]s*",
    "*_test.go",
)
_CONFIG_NAMES = {
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "setup.cfg",
    "pyproject.toml",
    ".coveragerc",
    "noxfile.py",
}
_MANIFEST_NAMES = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements*.txt",
    "requirements*.in",
    "constraints*.txt",
    "*.lock",
    "Pipfile*",
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "pnpm-lock.yaml",
    "environment.y*ml",
    "Dockerfile*",
    "devcontainer.json",
    "go.mod",
    "go.sum",
    "Cargo.toml",
)
_CI_PREFIXES = (".github/", ".gitlab/", ".circleci/", ".buildkite/", ".woodpecker")
_CI_NAMES = {".gitlab-ci.yml", "Jenkinsfile", "azure-pipelines.yml", ".travis.yml", "bitbucket-pipelines.yml"}


def _named(path: str, patterns: Iterable[str]) -> bool:
    name = PurePosixPath(path).name
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def is_test(path: str) -> bool:
    """A test, or something that lies with the tests (data, helpers, conftest)."""
    return bool(_TEST_DIRECTORIES & set(PurePosixPath(path).parts[:-1])) or _named(path, _TEST_NAMES)


def is_test_configuration(path: str) -> bool:
    return PurePosixPath(path).name in _CONFIG_NAMES


def is_manifest(path: str) -> bool:
    return _named(path, _MANIFEST_NAMES)


def is_ci(path: str) -> bool:
    return path.startswith(_CI_PREFIXES) or path in _CI_NAMES


def frozen_paths(changes: Iterable[FileChange]) -> list[str]:
    """The paths of a diff that belong to the frozen checks, both names of a renamed file among them.

    Brought back from the base commit they are the original tests; a path that base lacks goes away.
    """
    paths = {path for change in changes for path in change.paths}
    return sorted(path for path in paths if is_test(path) or is_test_configuration(path))


def environment_changed(changes: Iterable[FileChange]) -> bool:
    return any(is_manifest(path) for change in changes for path in change.paths)
