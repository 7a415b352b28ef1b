"""How an environment is made: from the project's setting, its devcontainer, or what its files say. Pure."""

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Any, cast

from hypercode.domain.environment import Recipe
from hypercode.domain.errors import InvalidArgument
from hypercode.domain.project import EnvironmentSettings
from hypercode.sandbox.manifests import FILES, REQUIREMENTS, project_needs

VENV = "python3 -m venv /opt/venv"
PIP = "/opt/venv/bin/python -m pip install --no-input --progress-bar off"
SITE = "/opt/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path(\"purelib\"))'"
DEVCONTAINERS = (".devcontainer/devcontainer.json", ".devcontainer.json")
DECIDING = (*REQUIREMENTS, *DEVCONTAINERS, *FILES, "Dockerfile")
UNPINNED_NOTE = "the versions that the file pins can't be installed here; taking the newest ones"
WISHES_NOTE = "some packages that the tests ask for can't be installed together; taking those that can"
# The builder's copy of the work tree is thrown away: files that the install wrote there (a version module,
# compiled extensions) are kept in the environment and found after the work tree itself.
MARK = "touch /tmp/hypercode-began"
KEEP_WRITTEN = "/opt/venv/bin/python /opt/hypercode/runner/written.py"
COLLECT = "/opt/venv/bin/python /opt/hypercode/runner/collecting.py"
TEST_IMPORTS = "/opt/venv/bin/python /opt/hypercode/runner/test_imports.py"
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
    steps = [Step("venv", VENV), Step("venv", MARK), *steps, Step("keep", KEEP_WRITTEN)]
    if facts.has_tests:
        # After the project's own lines, so that its wish for a version comes first; does nothing when it is there.
        steps.append(Step("tests", f"{PIP} pytest"))
        if source == "detected":
            steps.append(Step("test packages", TEST_IMPORTS, "true", WISHES_NOTE))
            steps.append(Step("collect", COLLECT))
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
    needs = project_needs(facts.files)
    notes += needs.notes
    steps = [_requirement_file(name) for name in needs.requirement_files]
    if needs.installable:
        # The project comes last, so that a version its own files ask for wins over the suite's wish.
        target = f".[{','.join(needs.extras)}]" if needs.extras else "."
        wanted = [*needs.dependencies, *(item for items in needs.extras.values() for item in items)]
        install = f"{PIP} {_quoted(wanted)} && " if wanted else ""
        version = "".join(f"{name}={shlex.quote(value)} " for name, value in needs.version.items())
        run = f"{version}{PIP} -e {shlex.quote(target)}"
        if facts.has_tests and needs.tests:
            steps.append(_wishes(needs.tests))
        steps.append(Step("install", run, install + _paths(), FALLBACK_NOTE))
    else:
        if facts.has_tests and needs.tests:
            steps.append(_wishes(needs.tests))
        if needs.dependencies:
            steps.append(Step("install", f"{PIP} {_quoted(needs.dependencies)}"))
        if facts.has_src:
            steps.append(Step("install", _paths()))
    return steps


def _requirement_file(name: str) -> Step:
    """A requirements file; when its pins are too old for this Python, the same names without them."""
    file, loose = shlex.quote(name), shlex.quote(f"{name}.unpinned.txt")
    unpin = f"sed -E 's/[[:space:]]*[=~]==?[^;#]*//; /^[[:space:]]*--hash/d; s/\\\\$//' {file} > {loose}"
    return Step("install", f"{PIP} -r {file}", f"{unpin} && {PIP} -r {loose}", UNPINNED_NOTE)


def _wishes(packages: list[str]) -> Step:
    """What the suite would like: one by one when not all of it can be had, and never a reason to stop."""
    wanted = [item for item in packages if not item.startswith("-")]
    alone = "; ".join(f"{PIP} {shlex.quote(item)}" for item in wanted)
    return Step("test packages", f"{PIP} {_quoted(wanted)}", f"{alone}; true", WISHES_NOTE)


def _paths() -> str:
    """Return a line that puts the work tree on the import path."""
    return f"printf '/workspace/src\\n/workspace\\n' > \"$({SITE})/workspace.pth\""


def _quoted(requirements: list[str]) -> str:
    return " ".join(shlex.quote(item) for item in requirements if not item.startswith("-"))
