import pytest

from hypercode.sandbox.manifests import project_needs

GROUPS = """
[build-system]
requires = []
[project]
name = "x"
[project.optional-dependencies]
docs = ["sphinx"]
dev = ["ruff"]
[dependency-groups]
tests = [{include-group = "base"}, "hypothesis"]
base = ["pytest>=8"]
lint = ["ruff"]
"""


def test_groups_resolve_their_includes_and_leave_other_groups_out() -> None:
    assert project_needs({"pyproject.toml": GROUPS}).tests == ["pytest>=8", "hypothesis"]


def test_development_extras_are_the_last_resort() -> None:
    assert project_needs({"pyproject.toml": GROUPS}).extras == {"dev": ["ruff"]}
    more = GROUPS.replace('docs = ["sphinx"]', 'testing = ["mock"]')
    assert project_needs({"pyproject.toml": more}).extras == {"testing": ["mock"]}


def test_tox_says_dependencies_files_extras_and_groups() -> None:
    tox = """
[testenv]
extras = async
dependency_groups = base
deps =
    -r{toxinidir}/needs/ci.txt
    babel>=2  # for the locales
    py38: old
    {[testenv:docs]deps}
    git+https://example.org/x
"""
    files = {"pyproject.toml": GROUPS.replace("docs =", "async ="), "tox.ini": tox}
    found = project_needs(files)
    assert found.tests == ["pytest>=8", "hypothesis", "babel>=2"]
    assert found.requirement_files == ["needs/ci.txt"]
    assert found.extras == {"async": ["sphinx"]}


def test_setup_py_is_read_but_never_run() -> None:
    text = """
raise SystemExit(3)
more = {"test": ["mock"], "docs": ["sphinx"]}
setup(name="x", install_requires=["six"], extras_require=more, tests_require=["nose"], version=read())
"""
    found = project_needs({"setup.py": text})
    assert (found.installable, found.dependencies, found.extras) == (True, ["six"], {"test": ["mock"]})
    assert found.tests == ["nose"]


@pytest.mark.parametrize(
    ("name", "text", "plugin"),
    [
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--cov=x -q"', "pytest-cov"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = ["-n", "auto"]', "pytest-xdist"),
        ("pytest.ini", "[pytest]\nasyncio_mode = auto\n", "pytest-asyncio"),
        ("setup.cfg", "[tool:pytest]\naddopts = --timeout=3\n", "pytest-timeout"),
        ("tox.ini", "[pytest]\nrequired_plugins = pytest-env>=1.0\n", "pytest-env>=1.0"),
    ],
)
def test_plugins_that_pytests_options_need(name: str, text: str, plugin: str) -> None:
    assert project_needs({name: text}).tests == [plugin]


def test_broken_files_are_no_reason_to_stop() -> None:
    found = project_needs(
        {"pyproject.toml": "= [", "setup.py": "def (", "setup.cfg": "no section", "tox.ini": "["}
    )
    assert found.notes
    assert found.installable
