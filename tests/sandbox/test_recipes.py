import pytest

from hypercode.domain.errors import InvalidArgument
from hypercode.domain.project import EnvironmentSettings
from hypercode.sandbox.recipes import Facts, Plan, plan_environment

PYPROJECT = """
[build-system]
requires = ["setuptools"]
[project]
name = "x"
dependencies = ["attrs>=20"]
[project.optional-dependencies]
test = ["hypothesis"]
docs = ["sphinx"]
[dependency-groups]
dev = ["rich; python_version > '3'", {include-group = "test"}]
"""


def plan(files: dict[str, str], *, tests: bool = True, src: bool = False, **settings: object) -> Plan:
    facts = Facts(files=files, has_tests=tests, has_src=src)
    return plan_environment(facts, EnvironmentSettings.model_validate(settings), "base")


def test_pyproject_is_installed_editable_with_its_test_extra() -> None:
    found = plan({"pyproject.toml": PYPROJECT})
    lines = "\n".join(found.recipe.setup)
    assert "-e '.[test]'" in lines
    assert "rich; python_version" in lines
    assert "sphinx" not in lines
    assert any(step.run.endswith("install --no-input --progress-bar off pytest") for step in found.steps)
    install = next(step for step in found.steps if " -e " in step.run)
    assert "attrs>=20" in install.fallback
    assert "hypothesis" in install.fallback
    assert "/workspace/src" in install.fallback


def test_requirements_come_before_the_project() -> None:
    found = plan({"requirements.txt": "", "requirements-dev.txt": "", "setup.py": ""})
    runs = [step.run for step in found.steps if step.phase == "install"]
    assert ["requirements.txt" in run for run in runs] == [True, False, False]
    assert runs[-1].endswith("-e .")


def test_nothing_to_install_still_gets_pytest_and_src() -> None:
    found = plan({}, src=True)
    phases = ["venv", "venv", "install", "keep", "tests", "test packages", "collect", "proof"]
    assert [step.phase for step in found.steps] == phases
    assert [step.phase for step in plan({}, tests=False).steps] == ["venv", "venv", "keep"]


def test_setting_wins_over_files_and_devcontainer() -> None:
    files = {"pyproject.toml": PYPROJECT, ".devcontainer/devcontainer.json": '{"image": "dev"}'}
    found = plan(files, setup=["make deps"], image="mine")
    assert found.recipe.source == "setting"
    assert found.recipe.base_image == "mine"
    assert "make deps" in found.recipe.setup


def test_devcontainer_image_and_command() -> None:
    text = '{\n  // ours\n  "image": "dev:1", "postCreateCommand": ["pip", "install", "x y"],\n}'
    found = plan({".devcontainer.json": text})
    assert (found.recipe.source, found.recipe.base_image) == ("devcontainer", "dev:1")
    assert "pip install 'x y'" in found.recipe.setup


def test_what_is_not_used_is_said() -> None:
    assert plan({"Dockerfile": "FROM x"}).notes
    assert plan({"pyproject.toml": "not = [toml"}).notes
    with pytest.raises(InvalidArgument):
        plan({}, dockerfile="Dockerfile")


def test_pins_that_do_not_fit_are_tried_without_them_and_wishes_never_stop_a_build() -> None:
    found = plan(
        {"requirements.txt": "", "tox.ini": "[testenv]\ndeps =\n  nosuch\n  x: other\n", "setup.py": ""}
    )
    pins, wishes, project = [step for step in found.steps if step.phase in ("install", "test packages")][:3]
    assert "requirements.txt.unpinned.txt" in pins.fallback
    assert wishes.run.endswith("nosuch")
    assert wishes.fallback.endswith("; true")
    assert project.run.endswith("-e .")


def test_a_version_from_git_is_taken_from_the_sdist_when_there_are_no_tags() -> None:
    found = plan(
        {
            "pyproject.toml": '[build-system]\nrequires = ["hatch-vcs"]',
            "PKG-INFO": "Name: x\nVersion: 4.2\n\nhi",
        }
    )
    install = next(step for step in found.steps if " -e " in step.run)
    assert install.run.startswith("SETUPTOOLS_SCM_PRETEND_VERSION=4.2 ")
