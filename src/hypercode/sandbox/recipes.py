"""How an environment is made: from the project's setting, its devcontainer, or what its files say. Pure."""

import json
import re
import shlex
import tomllib
from dataclasses import dataclass, field
from typing import Any, cast

from hypercode.domain.environment import Recipe
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.project import EnvironmentSettings

VENV = "python3 -m venv /opt/venv"
PIP = "/opt/venv/bin/python -m pip install --no-input --progress-bar off"
SITE = "/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'"
EXTRAS = ("test", "tests", "testing", "dev")
REQUIREMENTS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "test-requirements.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
)
DEVCONTAINERS = (".devcontainer/devcontainer.json", ".devcontainer.json")
DECIDING = (*REQUIREMENTS, *DEVCONTAINERS, "pyproject.toml", "setup.py", "setup.cfg", "Dockerfile")
FALLBACK_NOTE = "the project itself can't be installed; installing its dependencies, with the work tree on the import path"


@dataclass(frozen=True)
class Step:
    """One set-up line; when it fails, ``fallback`` is tried with ``note`` as what is said."""

    phase: str
    run: str
    fallback: str = ""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """A recipe, its steps as the builder runs them, and what a person should know."""

    recipe: Recipe
    steps: list[Step]
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Facts:
    """What of the base commit decides: the deciding files' text, whether it has tests and a src folder."""

    files: dict[str, str]
    has_tests: bool
    has_src: bool


def plan_environment(facts: Facts, settings: EnvironmentSettings, base_image: str) -> Plan:
    """Return the plan: setting, then devcontainer, then detection; raises InvalidArgument for a bad setting."""
    if settings.dockerfile:
        raise InvalidArgument(
            "environments from a Dockerfile are not supported yet",
            hint="give the lines that install things as environment.setup",
        )
    image = settings.image or base_image
    if settings.setup is not None:
        return _plan("setting", image, [Step("setup", line) for line in settings.setup], settings, [], facts)
    notes: list[str] = []
    dev = _devcontainer(facts, notes)
    if dev is not None and settings.image is None:
        dev_image, lines = dev
        return _plan(
            "devcontainer", dev_image, [Step("setup", line) for line in lines], settings, notes, facts
        )
    if "Dockerfile" in facts.files:
        notes.append("the Dockerfile is not used yet; the environment is detected from the project's files")
    return _plan("detected", image, _python_steps(facts, notes), settings, notes, facts)


def _plan(
    source: str, image: str, steps: list[Step], settings: EnvironmentSettings, notes: list[str], facts: Facts
) -> Plan:
    steps = [Step("venv", VENV), *steps]
    if facts.has_tests:
        # After the project's own lines, so that its wish for a version comes first; does nothing when it is there.
        steps.append(Step("tests", f"{PIP} pytest"))
        steps.append(Step("proof", "/opt/venv/bin/python -c 'import pytest'"))
    lines = [step.run for step in steps]
    recipe = Recipe(source=source, base_image=image, setup=lines, env=settings.env)
    return Plan(recipe=recipe, steps=steps, notes=notes)


def _devcontainer(facts: Facts, notes: list[str]) -> tuple[str, list[str]] | None:
    """Return (image, lines) of a devcontainer that says an image; everything else of it is not used."""
    text = next((facts.files[path] for path in DEVCONTAINERS if path in facts.files), None)
    if text is None:
        return None
    try:
        # JSON with comments: whole-line ones and trailing commas, which is what such files have.
        plain = re.sub(r",(\s*[}\]])", r"\1", re.sub(r"(?m)^\s*//.*$", "", text))
        found = cast(dict[str, Any], json.loads(plain))
    except ValueError:
        notes.append("the devcontainer file can't be read and is not used")
        return None
    image = found.get("image")
    if not isinstance(image, str):
        notes.append("the devcontainer names no image and is not used")
        return None
    after = found.get("postCreateCommand")
    if isinstance(after, list):
        after = shlex.join(str(part) for part in cast(list[object], after))
    return image, [after] if isinstance(after, str) else []


def _python_steps(facts: Facts, notes: list[str]) -> list[Step]:
    steps = [Step("install", f"{PIP} -r {shlex.quote(name)}") for name in REQUIREMENTS if name in facts.files]
    project = _pyproject(facts, notes)
    groups = [group for group in ("test", "tests", "dev") if group in project.groups]
    for group in groups:
        wanted = [item for item in project.groups[group] if isinstance(item, str)]
        if wanted:
            steps.append(Step("install", f"{PIP} {_quoted(wanted)}"))
    if project.installable:
        extras = [extra for extra in EXTRAS if extra in project.extras]
        target = f".[{','.join(extras)}]" if extras else "."
        wanted = [*project.dependencies, *(item for extra in extras for item in project.extras[extra])]
        install = f"{PIP} {_quoted(wanted)} && " if wanted else ""
        steps.append(Step("install", f"{PIP} -e {shlex.quote(target)}", install + _paths(), FALLBACK_NOTE))
    else:
        if project.dependencies:
            steps.append(Step("install", f"{PIP} {_quoted(project.dependencies)}"))
        if facts.has_src:
            steps.append(Step("install", _paths()))
    return steps


def _paths() -> str:
    """Return a line that puts the work tree on the import path."""
    return f"printf '/workspace/src\\n/workspace\\n' > \"$({SITE})/workspace.pth\""


def _quoted(requirements: list[str]) -> str:
    return " ".join(shlex.quote(item) for item in requirements if not item.startswith("-"))


@dataclass(frozen=True)
class _Project:
    installable: bool = False
    dependencies: list[str] = field(default_factory=list[str])
    extras: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    groups: dict[str, list[object]] = field(default_factory=dict[str, list[object]])


def _pyproject(facts: Facts, notes: list[str]) -> _Project:
    legacy = "setup.py" in facts.files or "[metadata]" in facts.files.get("setup.cfg", "")
    text = facts.files.get("pyproject.toml")
    if text is None:
        return _Project(installable=legacy)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        notes.append("pyproject.toml can't be read and is not used")
        return _Project(installable=legacy)
    project = cast(dict[str, Any], found.get("project") or {})
    return _Project(
        installable="build-system" in found or "project" in found or legacy,
        dependencies=_texts(project.get("dependencies")),
        extras={
            name: _texts(items)
            for name, items in cast(dict[str, Any], project.get("optional-dependencies") or {}).items()
        },
        groups=cast(dict[str, list[object]], found.get("dependency-groups") or {}),
    )


def _texts(items: object) -> list[str]:
    return (
        [item for item in cast(list[object], items) if isinstance(item, str)]
        if isinstance(items, list)
        else []
    )
